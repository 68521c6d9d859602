-- The sliding-window log: what every operation on it shares. This file is put in front of each operation's own
-- (`policies/scripts.py`), because Redis scripts cannot import one another.
--
-- One window = one (policy, subject) pair. It is kept in up to two keys with the same hash tag:
--
--   log      a stream. One entry per admitted charge; its ID is <server time in ms>-<ordinal>. Ordinals count the
--            entries from 1 without gaps and no entry is ever deleted from the middle, so the number of entries
--            between any two is a subtraction, however long the log. The value is the cost reserved ('' for 1).
--   weights  a string: what each entry counts for, by ordinal. It exists only once some entry counts for something
--            other than 1, and is what lets a reservation be corrected in its place in time:
--              header   24 bytes: head (6), tail (6), capacity (4), sum (8); head and tail are ordinals,
--                       [head, tail) are the entries counted in sum
--              costs    capacity x 4 bytes, a ring by ordinal; the highest bit says "settled"
--              blocks   6 bytes a sum of 64 costs, a ring by ordinal / 64
--              supers   6 bytes a sum of 4096 costs, a ring by ordinal / 4096
--            Any range of costs is summed, and any prefix found, by reading at most 64 + 64 values and the supers.
--
-- The window is half open: an entry logged at t counts at every instant s with t <= s < t + window. Times are the
-- server's, in whole milliseconds. Within one log time never runs backwards: should the server's clock, the
-- newest entry's time stands in for it.

local call = redis.call
local floor, max, min = math.floor, math.max, math.min
local pack, unpack_at = struct.pack, struct.unpack
local BLOCK, SUPER = 64, 4096
local HEADER_BYTES, COST_BYTES, SUM_BYTES = 24, 4, 6
local SETTLED = 2147483648

local function server_ms(steered)
  if steered and steered ~= '' then return tonumber(steered) end
  local now = call('TIME')
  return now[1] * 1000 + floor(now[2] / 1000)
end

local function id_of(ms, ordinal)
  return string.format('%.0f-%.0f', ms, ordinal)
end

local function parse_id(id)
  local dash = string.find(id, '-', 1, true)
  return tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1))
end

-- Weights ------------------------------------------------------------------------------------------------------

local function blocks_offset(w) return HEADER_BYTES + w.capacity * COST_BYTES end

local function block_slots(w) return floor(w.capacity / BLOCK) + 2 end

local function supers_offset(w) return blocks_offset(w) + block_slots(w) * SUM_BYTES end

local function super_slots(w) return floor(w.capacity / SUPER) + 2 end

-- The three rings differ in place, slots and width only.
local function ring(w, level)
  if level == 1 then return HEADER_BYTES, w.capacity, COST_BYTES end
  if level == BLOCK then return blocks_offset(w), block_slots(w), SUM_BYTES end
  return supers_offset(w), super_slots(w), SUM_BYTES
end

-- Items [first, last] of a ring, in order, as one string.
local function ring_read(w, level, first, last)
  local offset, slots, width = ring(w, level)
  local from, count = first % slots, last - first + 1
  local straight = min(count, slots - from)
  local bytes = call('GETRANGE', w.weights, offset + from * width, offset + (from + straight) * width - 1)
  if count > straight then
    bytes = bytes .. call('GETRANGE', w.weights, offset, offset + (count - straight) * width - 1)
  end
  return bytes, width
end

local function ring_write(w, level, index, value)
  local offset, slots, width = ring(w, level)
  call('SETRANGE', w.weights, offset + (index % slots) * width, pack('>I' .. width, value))
end

local function header_write(w)
  call('SETRANGE', w.weights, 0, pack('>I6I6I4I8', w.head, w.tail, w.capacity, w.sum))
end

-- Walks items [first, last] of a ring and adds them up; stops at the first whose running total reaches `target`.
-- Returns the total before that item (or of all) and the item (or nil).
local function ring_sum(w, level, first, last, total, target)
  if last < first then return total, nil end
  local bytes, width = ring_read(w, level, first, last)
  local format = '>I' .. width
  for i = 0, last - first do
    local value = unpack_at(format, bytes, i * width + 1)
    if level == 1 and value >= SETTLED then value = value - SETTLED end
    if target and total + value >= target then return total, first + i end
    total = total + value
  end
  return total, nil
end

-- Sums the costs of ordinals [from, to); with a target, finds the first ordinal at which the running sum reaches it.
-- Whole supers and whole blocks are taken as they stand, so the work is bounded whatever the length.
local function cost_sum(w, from, to, target)
  local total, at, ordinal = 0, nil, from
  while ordinal < to do
    local level
    if ordinal % SUPER == 0 and ordinal + SUPER <= to then level = SUPER
    elseif ordinal % BLOCK == 0 and ordinal + BLOCK <= to then level = BLOCK
    else level = 1 end
    local stop -- the ordinal after the longest run of this level's items
    if level == SUPER then stop = to - to % SUPER
    elseif level == BLOCK then stop = min(to - to % BLOCK, ordinal - ordinal % SUPER + SUPER)
    else stop = min(to, ordinal - ordinal % BLOCK + BLOCK) end
    total, at = ring_sum(w, level, ordinal / level, stop / level - 1, total, target)
    if at and level == 1 then return total, at end
    if at then -- inside this block or super: go down into it
      ordinal, to = at * level, min(to, at * level + level)
      if level == SUPER then
        total, at = ring_sum(w, BLOCK, ordinal / BLOCK, to / BLOCK - 1, total, target)
        ordinal, to = at * BLOCK, at * BLOCK + BLOCK
      end
      return ring_sum(w, 1, ordinal, to - 1, total, target)
    end
    ordinal = stop
  end
  return total, nil
end

-- A string that holds `bytes` (items first..) in a ring of `slots`, zeros elsewhere.
local function ring_layout(bytes, first, slots, width)
  local from, count = first % slots, #bytes / width
  local straight = min(count, slots - from)
  local wrapped = string.sub(bytes, straight * width + 1)
  local gap = from * width - #wrapped
  return wrapped .. string.rep('\0', gap) .. string.sub(bytes, 1, straight * width)
    .. string.rep('\0', (slots - from - straight) * width)
end

-- Writes the weights anew with room for a quarter more entries than there are. `costs`, `blocks` and `supers` hold
-- the items of [head, tail) in order.
local function weights_write(w, costs, blocks, supers)
  w.capacity = floor((w.tail - w.head) * 1.25) + 2 * BLOCK
  call('SET', w.weights, pack('>I6I6I4I8', w.head, w.tail, w.capacity, w.sum)
    .. ring_layout(costs, w.head, w.capacity, COST_BYTES)
    .. ring_layout(blocks, floor(w.head / BLOCK), block_slots(w), SUM_BYTES)
    .. ring_layout(supers, floor(w.head / SUPER), super_slots(w), SUM_BYTES), 'KEEPTTL')
end

local function weights_resize(w)
  local costs, blocks, supers = '', '', ''
  if w.tail > w.head then
    costs = ring_read(w, 1, w.head, w.tail - 1)
    blocks = ring_read(w, BLOCK, floor(w.head / BLOCK), floor((w.tail - 1) / BLOCK))
    supers = ring_read(w, SUPER, floor(w.head / SUPER), floor((w.tail - 1) / SUPER))
  end
  weights_write(w, costs, blocks, supers)
end

-- Begins weights for entries [head, tail) that have all counted for 1 so far.
local function weights_begin(w, head, tail)
  w.head, w.tail, w.sum, w.weighted = head, tail, tail - head, true
  local function ones(level)
    local sums = {}
    for item = floor(head / level), floor((tail - 1) / level) do
      local count = min(tail, (item + 1) * level) - max(head, item * level)
      sums[#sums + 1] = pack('>I' .. SUM_BYTES, count)
    end
    return table.concat(sums)
  end
  local one = pack('>I' .. COST_BYTES, 1)
  if tail > head then weights_write(w, string.rep(one, tail - head), ones(BLOCK), ones(SUPER))
  else weights_write(w, '', '', '') end
end

local function weight_of(w, ordinal)
  local cost = unpack_at('>I4', (ring_read(w, 1, ordinal, ordinal)))
  if cost >= SETTLED then return cost - SETTLED, true end
  return cost, false
end

-- Changes what a living entry counts for, and says so in the sums above it. Marks it settled.
local function weight_settle(w, ordinal, before, after)
  ring_write(w, 1, ordinal, after + SETTLED)
  for _, level in ipairs({BLOCK, SUPER}) do
    local item = floor(ordinal / level)
    local sum = unpack_at('>I6', (ring_read(w, level, item, item)))
    ring_write(w, level, item, sum + after - before)
  end
  w.sum = w.sum + after - before
end

local function weight_append(w, cost)
  local live = w.tail - w.head
  if live + BLOCK >= w.capacity or (w.capacity > 16 * BLOCK and live * 4 < w.capacity) then weights_resize(w) end
  local ordinal = w.tail
  ring_write(w, 1, ordinal, cost)
  for _, level in ipairs({BLOCK, SUPER}) do
    local item, sum = floor(ordinal / level), 0
    if ordinal % level ~= 0 and live > 0 then sum = unpack_at('>I6', (ring_read(w, level, item, item))) end
    ring_write(w, level, item, sum + cost)
  end
  w.tail, w.sum = ordinal + 1, w.sum + cost
end

-- The log ------------------------------------------------------------------------------------------------------

-- The weights do not belong to this log: one of the two keys was removed by another hand. What each entry reserved
-- stands in the log itself, so the weights are made again from there, entry by entry.
local function weights_mend(w)
  weights_begin(w, w.first_ordinal, w.first_ordinal)
  local from = string.format('%.0f', w.now - w.window_ms + 1)
  repeat
    local entries = call('XRANGE', w.log, from, '+', 'COUNT', 1000)
    for _, entry in ipairs(entries) do weight_append(w, tonumber(entry[2][2]) or 1) end
    if #entries > 0 then from = '(' .. entries[#entries][1] end
  until #entries < 1000
  header_write(w)
end

-- Reads a window: what it holds at this moment. Writes nothing. Complexity: O(log n).
local function log_open(log, weights, window_ms, now)
  local w = {log = log, weights = weights, window_ms = window_ms, used = 0, last_ordinal = 0, last_ms = 0}
  local newest = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if newest then w.last_ms, w.last_ordinal = parse_id(newest[1]) end
  w.now = max(now, w.last_ms)
  if newest and w.last_ms > w.now - window_ms then
    local oldest = call('XRANGE', log, string.format('%.0f', w.now - window_ms + 1), '+', 'COUNT', 1)[1]
    w.first_ms, w.first_ordinal = parse_id(oldest[1])
    w.used = w.last_ordinal - w.first_ordinal + 1
  end
  local header = call('GETRANGE', weights, 0, HEADER_BYTES - 1)
  if header ~= '' then
    w.weighted = true
    w.head, w.tail, w.capacity, w.sum = unpack_at('>I6I6I4I8', header)
    if w.first_ordinal and w.tail ~= w.last_ordinal + 1 then weights_mend(w) end
    if w.first_ordinal and w.first_ordinal > w.head then
      w.sum = w.sum - cost_sum(w, w.head, w.first_ordinal)
      w.head = w.first_ordinal
    end
    w.used = w.first_ordinal and w.sum or 0
  end
  return w
end

-- When the entry with this ordinal was logged, by bisection of the IDs: at most 32 probes for 31 days.
local function log_time_of(w, ordinal)
  if ordinal == w.first_ordinal then return w.first_ms end
  local low, high = w.first_ms, w.last_ms
  while low <= high do
    local middle = floor((low + high) / 2)
    local entry = call('XRANGE', w.log, id_of(middle, ordinal), '+', 'COUNT', 1)[1]
    local ms, found = nil, nil
    if entry then ms, found = parse_id(entry[1]) end
    if found == ordinal then return ms end
    if found and found < ordinal then low = ms else high = middle - 1 end
  end
  return w.last_ms
end

-- Milliseconds until `cost` fits if nothing else is admitted: 0 now, -1 never.
local function log_retry_ms(w, cost, limit)
  if cost > limit then return -1 end
  local need = w.used + cost - limit
  if need <= 0 then return 0 end
  local ordinal
  if w.weighted then
    local _, at = cost_sum(w, w.head, w.tail, need)
    ordinal = at
  else
    ordinal = w.first_ordinal + need - 1
  end
  return log_time_of(w, ordinal) + w.window_ms - w.now
end

-- The keys outlive the newest entry by one window at least. Asking first keeps this out of the append-only file.
local function keys_outlive_window(w)
  if call('PTTL', w.log) < 2 * w.window_ms then call('PEXPIRE', w.log, 3 * w.window_ms) end
  if w.weighted and call('PTTL', w.weights) < 2 * w.window_ms then call('PEXPIRE', w.weights, 3 * w.window_ms) end
end

-- Logs one entry. Expired entries leave with it, ten thousand at most, so that a long backlog is spread.
local function log_append(w, cost)
  if not w.first_ordinal and w.weighted then -- nothing is counted any more: begin afresh, without weights
    call('DEL', w.weights)
    w.weighted = nil
  end
  if cost ~= 1 and not w.weighted then
    weights_begin(w, w.first_ordinal or w.last_ordinal + 1, w.last_ordinal + 1)
  end
  local ordinal = w.last_ordinal + 1
  call('XADD', w.log, 'MINID', '~', string.format('%.0f', w.now - w.window_ms + 1), 'LIMIT', 10000,
    id_of(w.now, ordinal), '', cost ~= 1 and string.format('%.0f', cost) or '')
  if w.weighted then
    weight_append(w, cost)
    header_write(w)
  end
  w.last_ordinal, w.last_ms, w.used = ordinal, w.now, w.used + cost
  if not w.first_ordinal then w.first_ordinal, w.first_ms = ordinal, w.now end
  keys_outlive_window(w)
  return ordinal
end

-- Gives back (part of) what an entry reserved: it counts for `actual` from now on, at its own place in time. What is
-- used beyond the reservation was not there then, and is logged as an entry of its own now. An entry that has left
-- the window has taken its reservation with it. Settling twice changes nothing.
local function log_settle(w, ms, ordinal, reserved, actual)
  local counted = w.first_ordinal and ordinal >= w.first_ordinal and ordinal <= w.last_ordinal
    and #call('XRANGE', w.log, id_of(ms, ordinal), id_of(ms, ordinal)) == 1
  if counted then
    if not w.weighted then
      if actual == 1 then return 0 end
      weights_begin(w, w.first_ordinal, w.last_ordinal + 1)
    end
    local before, settled = weight_of(w, ordinal)
    if settled then return 0 end
    weight_settle(w, ordinal, before, min(actual, before))
    header_write(w)
    keys_outlive_window(w)
    reserved = before
  end
  if actual > reserved then log_append(w, actual - reserved) end
  return 1
end

-- Leases -------------------------------------------------------------------------------------------------------
-- What is held rather than spent (concurrent requests): a sorted set of holders by the time their lease runs out.
-- A holder of more than one slot is the member <id>:<slots>, and what it holds beyond the first is summed beside.

local function lease_member(holder, slots)
  if slots == 1 then return holder end
  return string.format('%s:%.0f', holder, slots)
end

local function lease_slots(member)
  return tonumber(string.match(member, ':(%d+)$')) or 1
end

local function lease_open(leases, extra, now)
  local w = {leases = leases, extra = extra, now = now}
  w.expired = call('ZCOUNT', leases, '-inf', string.format('%.0f', now))
  w.beyond = tonumber(call('GET', extra) or 0)
  if w.expired > 0 then -- a thousand leave at a time, so that a mass of dead holders is spread
    local dead = call('ZRANGE', leases, 0, min(w.expired, 1000) - 1)
    for _, member in ipairs(dead) do w.beyond = w.beyond - lease_slots(member) + 1 end
    w.dead = dead
  end
  w.used = call('ZCARD', leases) - w.expired + w.beyond
  return w
end

local function lease_retry_ms(w, cost, limit)
  if cost > limit then return -1 end
  local need = w.used + cost - limit
  if need <= 0 then return 0 end
  if w.beyond == 0 then
    local at = w.expired + need - 1
    return tonumber(call('ZRANGE', w.leases, at, at, 'WITHSCORES')[2]) - w.now
  end
  local holders, ends = call('ZRANGE', w.leases, w.expired, w.expired + 999, 'WITHSCORES'), w.now + 1
  for i = 1, #holders, 2 do
    need, ends = need - lease_slots(holders[i]), tonumber(holders[i + 1])
    if need <= 0 then break end
  end
  return ends - w.now
end

local function leases_outlive(leases, extra, lease_ms)
  if call('PTTL', leases) < 2 * lease_ms then
    call('PEXPIRE', leases, 3 * lease_ms)
    call('PEXPIRE', extra, 3 * lease_ms)
  end
end

local function lease_take(w, holder, cost, lease_ms)
  if w.dead then call('ZREM', w.leases, unpack(w.dead)) end
  call('ZADD', w.leases, w.now + lease_ms, lease_member(holder, cost))
  w.beyond = w.beyond + cost - 1
  if w.beyond > 0 then call('SET', w.extra, string.format('%.0f', w.beyond), 'PX', 3 * lease_ms)
  elseif w.dead then call('DEL', w.extra) end
  leases_outlive(w.leases, w.extra, lease_ms)
end

local function lease_give(leases, extra, holder, cost)
  local held = call('ZREM', leases, lease_member(holder, cost))
  if held == 1 and cost > 1 then call('DECRBY', extra, string.format('%.0f', cost - 1)) end
  return held
end
