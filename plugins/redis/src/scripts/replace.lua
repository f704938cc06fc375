-- KEYS: lease. ARGV: the old lease, the new one, its life. Answers 1 when the old one was there.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
