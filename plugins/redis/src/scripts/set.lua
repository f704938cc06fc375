-- KEYS: entry, lease. ARGV: envelope, life.
local answer = store()
redis.call('UNLINK', KEYS[2])
return answer
