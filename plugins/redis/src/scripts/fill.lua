-- KEYS: entry, lease. ARGV: envelope, life, now, token. Answers 1 when the lease held, else 0.
-- A lease is 24 bytes: who has it, its end by the clock of that one, the token.
local held = redis.pcall('GET', KEYS[2])
if type(held) ~= 'string' or #held ~= 24 or string.sub(held, 17) ~= ARGV[4] then
    return 0
end
local high, low = struct.unpack('>I4I4', held, 9)
if high * 4294967296 + low <= tonumber(ARGV[3]) then
    return 0
end
local answer = store()
redis.call('UNLINK', KEYS[2])
if type(answer) == 'table' and answer.err then
    return answer
end
return 1
