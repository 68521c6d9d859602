-- acquire / peek: decides every charge of one request, all or nothing.
--
-- KEYS   two a charge: the log and its weights, or the leases and what is held beyond one slot each
-- ARGV   1  what is asked, 25 bytes a charge: flags (1: lease, 2: shadow), limit, window or lease in ms, cost
--        2  the holder's id, for leases
--        3  "1" to log what is allowed (acquire), "0" to log nothing (peek)
--        4  the time in ms since 1970 that stands in for the server's clock; '' for the clock itself (tests steer it)
-- reply  allowed (0 or 1), the server's time in ms, then five a charge: used before this request, ms until it
--        fits (0 now, -1 never), when the oldest entry counted was logged (0: none), and the entry's ms and ordinal
-- cost   O(log n) a charge; at most 10,000 expired entries leave a log in one call
--
-- Atomic because a script is: all windows are read first, and only when every charge fits is anything written. A
-- denial therefore leaves no trace in any of them. An error (a key of another type, no memory) is raised by the
-- first read or the first write, so it too leaves nothing half done.

local LEASE, SHADOW = 1, 2
local now = server_ms(ARGV[4])
local reply, windows = {1, now}, {}

for i = 1, #KEYS / 2 do
  local flags, limit, window_ms, cost = unpack_at('>BI8I8I8', ARGV[1], (i - 1) * 25 + 1)
  local lease = flags % 2 == LEASE
  local first, second, w, retry_ms = KEYS[2 * i - 1], KEYS[2 * i]
  if lease then
    w = lease_open(first, second, now)
    retry_ms = lease_retry_ms(w, cost, limit)
  else
    w = log_open(first, second, window_ms, now)
    retry_ms = log_retry_ms(w, cost, limit)
  end
  w.lease, w.cost, w.window_ms = lease, cost, window_ms
  if retry_ms ~= 0 and flags < SHADOW then reply[1] = 0 end
  windows[i] = w
  local at = 2 + (i - 1) * 5
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = w.used, retry_ms, w.first_ms or 0, 0, 0
end

if reply[1] == 1 and ARGV[3] == '1' then
  for i, w in ipairs(windows) do
    local at = 2 + (i - 1) * 5
    if w.lease then
      lease_take(w, ARGV[2], w.cost, w.window_ms)
      reply[at + 4] = now + w.window_ms
    else
      reply[at + 5] = log_append(w, w.cost)
      reply[at + 3], reply[at + 4] = w.first_ms, w.now
    end
  end
end

return reply
