-- KEYS: entry, lease. ARGV: envelope, life, now. Answers 1 when the entry was stored, else 0.
-- Strings are not compared: the order of bytes depends on the locale of the server. Numbers are
-- doubles, which hold 32 bits exactly.
local function is_newer()
    local there = header(ARGV[3])
    if not there then
        return true
    end
    local mine = { struct.unpack('>I4I4I4', ARGV[1], 9) }
    local theirs = { struct.unpack('>I4I4I4', there, 9) }
    for at = 1, 3 do
        if mine[at] ~= theirs[at] then
            return mine[at] > theirs[at]
        end
    end
    return false
end

if not is_newer() then
    return 0
end
local answer = store()
redis.call('UNLINK', KEYS[2])
if type(answer) == 'table' and answer.err then
    return answer
end
return 1
