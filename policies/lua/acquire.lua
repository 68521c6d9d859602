-- acquire / peek: decides every charge of one request, all or nothing.
--
-- KEYS   of each charge in turn: the log and its state, or the leases; and its block, where it has one
-- ARGV   1  whether to log what is allowed (1: acquire; 0: peek), 1 byte; the time in ms since 1970 that stands in for
--           the server's clock (8; 0: the clock itself; tests steer it); then 25 bytes a charge: flags (1: lease,
--           2: shadow, 4: block), limit, window or lease in ms, cost; and 24 where it has a block: after how many
--           denials, within how many ms, for how many ms
--        2  the holder's id, for leases
-- reply  one string, lowest byte first, since each number of a list costs both sides: allowed (1 byte, 0 or 1), the
--        server's time in ms (8), how many ms a block still lasts (8; 0: none); then 40 bytes a charge, five numbers of 8:
--        used before this request, ms until it fits (0 now, -1 never), when the oldest entry that counts was logged
--        (0: none), and the entry's ms and ordinal (0 and 0: nothing was logged)
-- cost   O(log n) a charge; at most 10,000 expired entries leave a log in one call
--
-- Atomic because a script is: all windows are read first, and only when every charge fits is anything written. A
-- denial therefore leaves no trace in any of them; only a block counts denials, in a key of its own: a number that
-- expires, or "!" while it denies. An error (a key of another type, no memory) is raised by the
-- first read or the first write, so it too leaves nothing half done.
--
-- A plain window is decided right here, from its header: each entry counts for 1, as the charge does, the clock did not
-- run backwards, and it holds no more than its limit. That is most windows of most requests, and here they need no
-- table and no function of their own, which cost more than all that Redis does for them. Every other window is opened as
-- `lua/windows.lua` and `lua/leases.lua` do it; so might be any plain one, with the same outcome.

local LEASE, SHADOW, BLOCK = 1, 2, 4
-- What `found` holds of each charge: the sum, ms until it fits, when the oldest was logged, the window in ms; of a plain
-- one also when the newest was logged, and tail and head; and the number of its first key.
local FOUND = 8

local PLAIN_HEADER_CAPACITY = PLAIN_HEADER .. 'I4'

local keys, format, asked = KEYS, string.format, ARGV[1]
local acquires, steered, at_byte = unpack_at('>BI8', asked)
local clock = steered > 0 and steered or server_ms('')
local charges, admitted, blocked_ms = 0, true, 0
-- As long from the start as six charges make it: a table that grows is copied each time.
local found = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0}
local log, leases, windows -- what opens windows that are not plain, and those: made when the first is met
local blocks -- those that do not deny yet: the key, where its numbers stand, where its charge is told to wait
local key, at = 1, 0

while at_byte <= #asked do
  local flags, limit, window_ms, cost
  flags, limit, window_ms, cost, at_byte = unpack_at('>BI8I8I8', asked, at_byte)
  charges = charges + 1
  local w, sum, retry_ms, oldest_ms, last_ms, tail, head
  local first_key = key
  if flags % 2 == LEASE then
    leases = leases or make_leases()
    w = leases.open(keys[key], clock)
    sum, retry_ms, oldest_ms = w.sum, leases.retry_ms(w, cost, limit), 0
    key = key + 1
  else
    local header, capacity = call('GETRANGE', keys[key + 1], '0', HEADER_LAST), nil
    if cost == 1 and #header == HEADER_BYTES then
      last_ms, tail, oldest_ms, head, sum, capacity = unpack_at(PLAIN_HEADER_CAPACITY, header)
    end
    if capacity == 0 and last_ms <= clock then
      local since = clock - window_ms + 1
      if oldest_ms < since and head < tail then
        local ms, ordinal
        if last_ms >= since then ms, ordinal = entry_at(keys[key], since) end
        oldest_ms, head = ms or 0, ordinal or tail
        sum = tail - head
      end
      if sum < limit then retry_ms = 0
      elseif sum == limit and sum > 0 then retry_ms = oldest_ms + window_ms - clock end
    end
    if not retry_ms then
      log = log or make_log()
      w = log.open(keys[key], keys[key + 1], window_ms, clock, header)
      sum, retry_ms, oldest_ms = w.sum, log.retry_ms(w, cost, limit), w.head_ms
    end
    key = key + 2
  end
  if w then
    w.cost = cost
    windows = windows or {}
    windows[charges] = w
  end
  if flags >= BLOCK then
    if call('GET', keys[key]) == '!' then
      local left_ms = call('PTTL', keys[key])
      retry_ms, blocked_ms = max(retry_ms, left_ms), max(blocked_ms, left_ms)
    else
      blocks = blocks or {}
      blocks[#blocks + 1] = {keys[key], at_byte, at + 2}
    end
    key, at_byte = key + 1, at_byte + 24
  end
  if retry_ms ~= 0 and flags % BLOCK < SHADOW then admitted = false end
  found[at + 1], found[at + 2], found[at + 3], found[at + 4] = sum, retry_ms, oldest_ms, window_ms
  found[at + 5], found[at + 6], found[at + 7], found[at + 8] = last_ms, tail, head, first_key
  at = at + FOUND
end

if blocks and acquires == 1 and not admitted then
  for i = 1, #blocks do
    local name, numbers_at, retry_at = blocks[i][1], blocks[i][2], blocks[i][3]
    if found[retry_at] ~= 0 then
      local denials, within_ms, for_ms = unpack_at('>I8I8I8', asked, numbers_at)
      local count = call('INCR', name)
      if count == 1 then call('PEXPIRE', name, within_ms) end
      if count >= denials then
        call('SET', name, '!', 'PX', for_ms)
        found[retry_at], blocked_ms = max(found[retry_at], for_ms), max(blocked_ms, for_ms)
      end
    end
  end
end

local logs = admitted and acquires == 1
local reply = {pack('<BI8I8', admitted and 1 or 0, clock, blocked_ms)}
local id, look_ms = format('%d', clock) .. '-%d', clock - clock % LOOK_MS
at = 0

for i = 1, charges do
  local sum, retry_ms, oldest_ms, window_ms = found[at + 1], found[at + 2], found[at + 3], found[at + 4]
  local entry_ms, ordinal, w = 0, 0, windows and windows[i]
  if logs and not w then
    local log_key, state, head = keys[found[at + 8]], keys[found[at + 8] + 1], found[at + 7]
    entry_ms, ordinal = clock, found[at + 6]
    if head == ordinal then oldest_ms = clock end
    if ordinal % TRIM_EVERY == 0 then
      call('XADD', log_key, 'MINID', '~', max(0, clock - window_ms + 1), 'LIMIT', TRIM_MOST, format(id, ordinal), '', '')
    else
      call('XADD', log_key, format(id, ordinal), '', '')
    end
    call('SETRANGE', state, '0', pack(PLAIN_HEADER, clock, ordinal + 1, oldest_ms, head, sum + 1))
    if found[at + 5] < look_ms then log_outlives(log_key, state, window_ms) end
  elseif logs and w.leases then
    leases.take(w, ARGV[2], w.cost, window_ms)
    entry_ms = clock + window_ms
  elseif logs then
    entry_ms, ordinal = w.now, log.append(w, w.cost, window_ms)
    oldest_ms = w.head_ms
  end
  reply[i + 1] = pack('<I8i8I8I8I8', sum, retry_ms, oldest_ms, entry_ms, ordinal)
  at = at + FOUND
end

return table.concat(reply)
