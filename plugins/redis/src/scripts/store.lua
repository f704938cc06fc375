-- Stores the envelope ARGV[1] in KEYS[1] for ARGV[2] milliseconds: '' is for ever, '0' not at all.
-- When the server has no room, the old entry goes as well: the caller believes that it is gone.
--
-- This must be the first command of a script that writes. A script that has written something is
-- allowed to go over `maxmemory`.
local function store()
    if ARGV[2] == '0' then
        return redis.call('UNLINK', KEYS[1])
    end
    local answer
    if ARGV[2] == '' then
        answer = redis.pcall('SET', KEYS[1], ARGV[1])
    else
        answer = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    end
    if answer.err then
        redis.call('UNLINK', KEYS[1])
    end
    return answer
end
