-- acquire / peek: decides every charge of one request, all or nothing.
--
-- KEYS   of each charge in turn: the log and its state, or the leases
-- ARGV   1  what is asked, 25 bytes a charge: flags (1: lease, 2: shadow), limit, window or lease in ms, cost
--        2  the holder's id, for leases
--        3  "1" to log what is allowed (acquire), "0" to log nothing (peek)
--        4  the time in ms since 1970 that stands in for the server's clock; '' for the clock itself (tests steer it)
-- reply  allowed (0 or 1), the server's time in ms, then five a charge: used before this request, ms until it
--        fits (0 now, -1 never), when the oldest entry that counts was logged (0: none), and the entry's ms and
--        ordinal
-- cost   O(log n) a charge; at most 10,000 expired entries leave a log in one call
--
-- Atomic because a script is: all windows are read first, and only when every charge fits is anything written. A
-- denial therefore leaves no trace in any of them. An error (a key of another type, no memory) is raised by the
-- first read or the first write, so it too leaves nothing half done.

local LEASE, SHADOW = 1, 2
local asked, clock = ARGV[1], server_ms(ARGV[4])
local charges = #asked / 25
local reply, windows = {1, clock}, {}
local key, at = 1, 2

for i = 1, charges do
  local flags, limit, window_ms, cost = unpack_at('>BI8I8I8', asked, i * 25 - 24)
  local w, retry_ms, oldest_ms
  if flags % 2 == LEASE then
    w = lease_open(KEYS[key], clock)
    retry_ms, oldest_ms = lease_retry_ms(w, cost, limit), 0
    key = key + 1
  else
    w = log_open(KEYS[key], KEYS[key + 1], window_ms, clock)
    retry_ms, oldest_ms = log_retry_ms(w, cost, limit), w.head_ms
    key = key + 2
  end
  w.cost, w.window_ms = cost, window_ms
  windows[i] = w
  if retry_ms ~= 0 and flags < SHADOW then reply[1] = 0 end
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = w.sum, retry_ms, oldest_ms, 0, 0
  at = at + 5
end

if reply[1] == 1 and ARGV[3] == '1' then
  at = 2
  for i = 1, charges do
    local w = windows[i]
    if w.leases then
      lease_take(w, ARGV[2], w.cost, w.window_ms)
      reply[at + 4] = clock + w.window_ms
    else
      reply[at + 4], reply[at + 5] = w.now, log_append(w, w.cost, w.window_ms)
      reply[at + 3] = w.head_ms
    end
    at = at + 5
  end
end

return reply
