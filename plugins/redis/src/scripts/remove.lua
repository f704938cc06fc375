-- KEYS: anything. ARGV: how it begins. Removes it only if it still begins like that.
local bytes = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if bytes ~= ARGV[1] then
    return 0
end
return redis.call('UNLINK', KEYS[1])
