-- settle / cancel: replaces what a request reserved by what it used, and gives its leases back.
--
-- KEYS   as in acquire.lua; last, where ARGV[4] is given, what remembers that this was done
-- ARGV   1  what is settled, 41 bytes a charge: flags (1: lease), window or lease in ms, the entry's ms and ordinal,
--           reserved cost, actual cost
--        2  the holder's id, for leases
--        3  the time that stands in for the server's clock, or ''
--        4  for how many ms to remember that this was done, or ''
-- reply  one a charge: 1 settled, 0 there was nothing (more) to settle
-- cost   O(log n) a charge, as acquire
--
-- Sending it again changes nothing while the entry is in the window: each entry remembers that it was settled. An entry
-- that is gone cannot, and use beyond its reservation would be logged again: hence ARGV[4], for those who may send it
-- again at any time.

local LEASE = 1
-- A request may be settled long after its policy's window was edited, so what still counts is not judged here: the
-- whole log is opened, nothing leaves it, and the next acquire judges by the window of its day.
local WHOLE_LOG_MS = 2 ^ 50

-- Gives back (part of) what an entry reserved: it counts for `actual` from now on, at its own place in time. What is
-- used beyond the reservation was not there then, and is logged as an entry of its own now. An entry that is gone
-- has taken its reservation with it; so has one that had left when the log began afresh without weights, which shows
-- in that it counts for something else than it logged.
local function log_settle(w, window_ms, ms, ordinal, reserved, actual)
  local id = ms .. '-' .. ordinal
  local entry = ordinal >= w.head and ordinal < w.tail and call('XRANGE', w.log, id, id)[1]
  local logged = entry and (tonumber(entry[2][2]) or 1)
  if logged == 1 and actual ~= 1 and w.capacity == 0 then weights().begin(w) end
  if logged and w.capacity > 0 then
    local before, settled = weights().get(w, ordinal)
    if settled then return 0 end
    if before == logged then weights().settle(w, ordinal, ms, before, min(actual, before)) end
  end
  if actual > reserved then
    log_append(w, actual - reserved, window_ms)
  elseif logged then
    header_write(w)
    if w.made then log_outlives(w.log, w.state, window_ms) end
  end
  return 1
end

local clock = server_ms(ARGV[3])
local reply, key = {}, 1
local done = ARGV[4] ~= '' and KEYS[#KEYS]

if done and call('EXISTS', done) == 1 then
  for i = 1, #ARGV[1] / 41 do reply[i] = 0 end
  return reply
end

for i = 1, #ARGV[1] / 41 do
  local flags, window_ms, ms, ordinal, reserved, actual = unpack_at('>BI8I8I8I8I8', ARGV[1], i * 41 - 40)
  if flags % 2 == LEASE then
    reply[i] = lease_give(KEYS[key], ARGV[2], reserved)
    key = key + 1
  else
    local w = log_open(KEYS[key], KEYS[key + 1], WHOLE_LOG_MS, clock)
    reply[i] = log_settle(w, window_ms, ms, ordinal, reserved, actual)
    key = key + 2
  end
end

if done then call('SET', done, '', 'PX', ARGV[4]) end -- last: should anything before it fail, it was not done
return reply
