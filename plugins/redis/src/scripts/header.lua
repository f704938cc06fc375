-- The fixed part of the header in KEYS[1]; nil when there is no entry whose life lasts at `now`,
-- which is microseconds as text. See `envelope.rs` of `larder-core` for the places.
local function header(now)
    local bytes = redis.pcall('GETRANGE', KEYS[1], 0, 47)
    if type(bytes) ~= 'string' or #bytes < 48 or string.sub(bytes, 1, 3) ~= '\196\094\001' then
        return nil
    end
    local high, low = struct.unpack('>I4I4', bytes, 33)
    local deadline = high * 4294967296 + low
    if deadline ~= 0 and deadline <= tonumber(now) then
        return nil
    end
    return bytes
end
