-- KEYS: entry. ARGV: the bytes of the deadlines, life, now. Answers 1 when there was an entry.
if not header(ARGV[3]) then
    return 0
end
if ARGV[2] == '0' then
    return redis.call('UNLINK', KEYS[1])
end
local answer = redis.pcall('SETRANGE', KEYS[1], 24, ARGV[1])
if type(answer) == 'table' and answer.err then
    return answer
end
if ARGV[2] == '' then
    redis.call('PERSIST', KEYS[1])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
