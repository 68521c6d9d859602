-- renew: prolongs the leases of a request that still runs.
--
-- KEYS   the leases
-- ARGV   1  the time that stands in for the server's clock, or ''
--        then three a lease: the holder's id, its slots, the lease in ms
-- reply  one a lease: 1 prolonged, 0 it had already run out (its slot may be another's by now)
-- cost   O(log n) a lease

local clock = server_ms(ARGV[1])
local reply = {}

for i, leases in ipairs(KEYS) do
  local member = lease_member(ARGV[3 * i - 1], tonumber(ARGV[3 * i]))
  local lease_ms = tonumber(ARGV[3 * i + 1])
  local ends = call('ZSCORE', leases, member)
  reply[i] = 0
  if ends and tonumber(ends) > clock then
    call('ZADD', leases, clock + lease_ms, member)
    leases_outlive(leases, lease_ms)
    reply[i] = 1
  end
end

return reply
