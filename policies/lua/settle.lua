-- settle / cancel: replaces what a request reserved by what it used, and gives its leases back.
--
-- KEYS   two a charge, as in acquire.lua
-- ARGV   1  what is settled, 41 bytes a charge: flags (1: lease), window or lease in ms, the entry's ms and ordinal,
--           reserved cost, actual cost
--        2  the holder's id, for leases
--        3  the time that stands in for the server's clock, or ''
-- reply  one a charge: 1 settled, 0 there was nothing (more) to settle
-- cost   O(log n) a charge, as acquire
--
-- Sending it again changes nothing while the entry is in the window: each entry remembers that it was settled.

local LEASE = 1
local now = server_ms(ARGV[3])
local reply = {}

for i = 1, #KEYS / 2 do
  local flags, window_ms, ms, ordinal, reserved, actual = unpack_at('>BI8I8I8I8I8', ARGV[1], (i - 1) * 41 + 1)
  local first, second = KEYS[2 * i - 1], KEYS[2 * i]
  if flags % 2 == LEASE then
    reply[i] = lease_give(first, second, ARGV[2], reserved)
  else
    reply[i] = log_settle(log_open(first, second, window_ms, now), ms, ordinal, reserved, actual)
  end
end

return reply
