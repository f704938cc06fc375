-- KEYS: generation, garbage. ARGV: the least generation that will do, what it must be over ('' for
-- nothing). Answers the generation of the cache, which is another one than before if it was lost,
-- went back, or has to be over something.
--
-- A generation is the time of the server in microseconds, so that one that was lost is never given
-- out again; 2^53 comes in the year 2255.
local text = redis.pcall('GET', KEYS[1])
local known = 0
if type(text) == 'string' and #text == 14 and string.find(text, '^[0-9a-f]+$') then
    known = tonumber(text, 16)
    if known >= 9007199254740991 then
        known = 0
    end
end
local least = tonumber(ARGV[1], 16)
local over = known
if ARGV[2] ~= '' then
    over = math.max(known, tonumber(ARGV[2], 16))
elseif known > 0 and known >= least then
    return text
end
local time = redis.call('TIME')
local fresh = math.max(time[1] * 1000000 + time[2], over + 1, least + 1)
local next = string.format('%014x', fresh)
-- A script that has written something is allowed to go over `maxmemory`, so that a full server can
-- be cleared.
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], next)
-- What had no generation may have entries all the same: that of before was lost.
redis.call('SET', KEYS[2], next)
return next
