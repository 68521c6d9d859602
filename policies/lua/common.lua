-- What every script needs. `policies/scripts.py` puts the files that an operation builds on in front of its own, because
-- Redis scripts cannot import one another.
--
-- Numbers become text by Lua's own conversion, which is exact for whole numbers below 10^14: times in ms until the
-- year 5138, and ordinals for as long.

local call = redis.call
local floor, max, min = math.floor, math.max, math.min
local pack, unpack_at = struct.pack, struct.unpack

local function server_ms(steered)
  if steered ~= '' then return tonumber(steered) end
  local now = call('TIME')
  return now[1] * 1000 + floor(now[2] / 1000)
end

local function parse_id(id)
  local dash = string.find(id, '-', 1, true)
  return tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1))
end
