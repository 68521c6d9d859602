-- acquire / peek: decides every charge of one request, all or nothing.
--
-- KEYS   of each charge in turn: the log and its state, or the leases; then the block of each charge that has one
-- ARGV   1  what is asked, 25 bytes a charge: flags (1: lease, 2: shadow, 4: block), limit, window or lease in ms,
--           cost
--        2  the holder's id, for leases
--        3  "1" to log what is allowed (acquire), "0" to log nothing (peek)
--        4  the time in ms since 1970 that stands in for the server's clock; '' for the clock itself (tests steer it)
--        5  24 bytes for each block: after how many denials, within how many ms, for how many ms
-- reply  allowed (0 or 1), the server's time in ms, then five a charge: used before this request, ms until it
--        fits (0 now, -1 never), when the oldest entry that counts was logged (0: none), and the entry's ms and
--        ordinal; last, how many ms a block still lasts (0: none)
-- cost   O(log n) a charge; at most 10,000 expired entries leave a log in one call
--
-- Atomic because a script is: all windows are read first, and only when every charge fits is anything written. A
-- denial therefore leaves no trace in any of them; only a block counts denials, in a key of its own: a number that
-- expires, or "!" while it denies. An error (a key of another type, no memory) is raised by the
-- first read or the first write, so it too leaves nothing half done.

local LEASE, SHADOW, BLOCK = 1, 2, 4
local asked, clock, blocks = ARGV[1], server_ms(ARGV[4]), ARGV[5]
local charges = #asked / 25
local reply, windows = {1, clock}, {}
local key, at = 1, 2
local block, blocks_before, blocked_ms = 0, #KEYS - #blocks / 24, 0

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
  if flags >= BLOCK then
    block = block + 1
    w.block = KEYS[blocks_before + block]
    if call('GET', w.block) == '!' then
      w.blocked_ms = call('PTTL', w.block)
      retry_ms, blocked_ms = max(retry_ms, w.blocked_ms), max(blocked_ms, w.blocked_ms)
    end
  end
  if retry_ms ~= 0 and flags % BLOCK < SHADOW then reply[1] = 0 end
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

if block > 0 and reply[1] == 0 and ARGV[3] == '1' then
  at, block = 2, 0
  for i = 1, charges do
    local w = windows[i]
    if w.block then
      local denials, within_ms, for_ms = unpack_at('>I8I8I8', blocks, block * 24 + 1)
      block = block + 1
      if reply[at + 2] ~= 0 and not w.blocked_ms then
        local count = call('INCR', w.block)
        if count == 1 then call('PEXPIRE', w.block, within_ms) end
        if count >= denials then
          call('SET', w.block, '!', 'PX', for_ms)
          reply[at + 2], blocked_ms = max(reply[at + 2], for_ms), max(blocked_ms, for_ms)
        end
      end
    end
    at = at + 5
  end
end
reply[charges * 5 + 3] = blocked_ms

return reply
