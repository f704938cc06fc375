-- KEYS: lease. ARGV: token, now. Answers 1 when the lease held, else 0.
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or #held ~= 24 or string.sub(held, 17) ~= ARGV[1] then
    return 0
end
redis.call('UNLINK', KEYS[1])
local high, low = struct.unpack('>I4I4', held, 9)
if high * 4294967296 + low <= tonumber(ARGV[2]) then
    return 0
end
return 1
