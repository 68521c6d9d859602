-- What the entries of a log count for, by ordinal: what lets a reservation be corrected in its own place in time.
-- The body of `make_weights(log_time_of)`, made by `policies/scripts.py`; returns the operations as a table.
--
--   header  36 bytes: head (6), tail (6), capacity (4), sum (8), block sum (6), super sum (6). Head and tail are
--           ordinals, [head, tail) are the entries counted in sum; the other two are the running sums of the block and the
--           super that the next entry falls in
--   costs   capacity x 4 bytes, a ring by ordinal; the highest bit says "settled"
--   blocks  6 bytes a sum of 64 costs, a ring by ordinal / 64
--   supers  6 bytes a sum of 4096 costs, a ring by ordinal / 4096
--
-- A block or a super is written when it is full, and read only where the whole of it is asked for. So any range of costs is
-- summed, and any prefix found, by reading at most 4 x 64 values and the supers.

local BLOCK, SUPER = 64, 4096
local HEADER, HEADER_BYTES, COST_BYTES, SUM_BYTES = '>I6I6I4I8I6I6', 36, 4, 6
local SETTLED = 2147483648
local MEND_CHUNK = 1000

local function block_slots(w) return floor(w.capacity / BLOCK) + 2 end

local function super_slots(w) return floor(w.capacity / SUPER) + 2 end

-- The three rings differ in place, slots and width only.
local function ring(w, level)
  local costs_end = HEADER_BYTES + w.capacity * COST_BYTES
  if level == 1 then return HEADER_BYTES, w.capacity, COST_BYTES end
  if level == BLOCK then return costs_end, block_slots(w), SUM_BYTES end
  return costs_end + block_slots(w) * SUM_BYTES, super_slots(w), SUM_BYTES
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

local function header(w)
  return pack(HEADER, w.head, w.tail, w.capacity, w.sum, w.block_sum, w.super_sum)
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
    if at then -- inside this block or super: go down into it
      if level == SUPER then total, at = ring_sum(w, BLOCK, at * BLOCK, at * BLOCK + BLOCK - 1, total, target) end
      if level > 1 then total, at = ring_sum(w, 1, at * BLOCK, at * BLOCK + BLOCK - 1, total, target) end
      return total, at
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
local function write_all(w, costs, blocks, supers)
  w.capacity = floor((w.tail - w.head) * 1.25) + 2 * BLOCK
  call('SET', w.weights, header(w)
    .. ring_layout(costs, w.head, w.capacity, COST_BYTES)
    .. ring_layout(blocks, floor(w.head / BLOCK), block_slots(w), SUM_BYTES)
    .. ring_layout(supers, floor(w.head / SUPER), super_slots(w), SUM_BYTES), 'KEEPTTL')
end

local function resize(w)
  local costs, blocks, supers = '', '', ''
  if w.tail > w.head then
    costs = ring_read(w, 1, w.head, w.tail - 1)
    blocks = ring_read(w, BLOCK, floor(w.head / BLOCK), floor((w.tail - 1) / BLOCK))
    supers = ring_read(w, SUPER, floor(w.head / SUPER), floor((w.tail - 1) / SUPER))
  end
  write_all(w, costs, blocks, supers)
end

-- Begins weights for entries [head, tail) that all count for 1 so far.
local function begin(w, head, tail)
  w.head, w.tail, w.sum, w.weighted = head, tail, tail - head, true
  local function ones(level)
    local sums = {}
    for item = floor(head / level), floor((tail - 1) / level) do
      sums[#sums + 1] = pack('>I6', min(tail, (item + 1) * level) - max(head, item * level))
    end
    return table.concat(sums)
  end
  w.block_sum = tail - max(head, tail - tail % BLOCK)
  w.super_sum = tail - max(head, tail - tail % SUPER)
  if tail == head then write_all(w, '', '', '')
  else write_all(w, string.rep(pack('>I4', 1), tail - head), ones(BLOCK), ones(SUPER)) end
end

local function append(w, cost)
  local ordinal, live = w.tail, w.tail - w.head
  if live + BLOCK >= w.capacity or (w.capacity > 16 * BLOCK and live * 4 < w.capacity) then resize(w) end
  ring_write(w, 1, ordinal, cost)
  w.tail, w.sum = ordinal + 1, w.sum + cost
  w.block_sum, w.super_sum = w.block_sum + cost, w.super_sum + cost
  if w.tail % BLOCK == 0 then
    ring_write(w, BLOCK, floor(ordinal / BLOCK), w.block_sum)
    w.block_sum = 0
    if w.tail % SUPER == 0 then
      ring_write(w, SUPER, floor(ordinal / SUPER), w.super_sum)
      w.super_sum = 0
    end
  end
  call('SETRANGE', w.weights, 0, header(w))
end

-- What an entry counts for, and whether it was settled.
local function get(w, ordinal)
  local cost = unpack_at('>I4', (ring_read(w, 1, ordinal, ordinal)))
  if cost >= SETTLED then return cost - SETTLED, true end
  return cost, false
end

local function add_to_sum(w, level, ordinal, change)
  local item = floor(ordinal / level)
  ring_write(w, level, item, unpack_at('>I6', (ring_read(w, level, item, item))) + change)
end

-- Changes what an entry counts for, and says so in the sums above it. Marks it settled.
local function settle(w, ordinal, before, after)
  local change = after - before
  ring_write(w, 1, ordinal, after + SETTLED)
  if floor(ordinal / BLOCK) == floor(w.tail / BLOCK) then w.block_sum = w.block_sum + change
  else add_to_sum(w, BLOCK, ordinal, change) end
  if floor(ordinal / SUPER) == floor(w.tail / SUPER) then w.super_sum = w.super_sum + change
  else add_to_sum(w, SUPER, ordinal, change) end
  w.sum = w.sum + change
  call('SETRANGE', w.weights, 0, header(w))
end

-- The weights are not this log's: one of the two keys was removed by another hand (evicted, for example). What each
-- entry reserved stands in the log itself, so they are made again from there; what was settled since counts as
-- reserved again. This alone takes O(n).
local function mend(w)
  local costs, from, ordinal = {}, w.since, w.first_ordinal
  repeat
    local entries = call('XRANGE', w.log, from, '+', 'COUNT', MEND_CHUNK)
    for i = 1, #entries do costs[#costs + 1] = tonumber(entries[i][2][2]) or 1 end
    if #entries > 0 then from = '(' .. entries[#entries][1] end
  until #entries < MEND_CHUNK
  w.head, w.tail, w.sum, w.block_sum, w.super_sum = ordinal, ordinal + #costs, 0, 0, 0
  local packed, blocks, supers = {}, {}, {}
  for i, cost in ipairs(costs) do
    packed[i] = pack('>I4', cost)
    w.sum, w.block_sum, w.super_sum = w.sum + cost, w.block_sum + cost, w.super_sum + cost
    local next_ordinal = ordinal + i
    if next_ordinal % BLOCK == 0 or i == #costs then blocks[#blocks + 1] = pack('>I6', w.block_sum) end
    if next_ordinal % SUPER == 0 or i == #costs then supers[#supers + 1] = pack('>I6', w.super_sum) end
    if next_ordinal % BLOCK == 0 then w.block_sum = 0 end
    if next_ordinal % SUPER == 0 then w.super_sum = 0 end
  end
  local ttl = call('PTTL', w.log)
  write_all(w, table.concat(packed), table.concat(blocks), table.concat(supers))
  if ttl > 0 then call('PEXPIRE', w.weights, ttl) end
end

-- Completes a window that was read from its log. Writes nothing, unless there is something to mend.
local function open(w)
  local bytes = call('GETRANGE', w.weights, 0, HEADER_BYTES - 1)
  if #bytes == HEADER_BYTES then
    w.head, w.tail, w.capacity, w.sum, w.block_sum, w.super_sum = unpack_at(HEADER, bytes)
  end
  if w.tail ~= w.last_ordinal + 1 then mend(w) end
  if w.first_ordinal > w.head then
    w.sum = w.sum - cost_sum(w, w.head, w.first_ordinal)
    w.head = w.first_ordinal
  end
  w.used = w.sum
end

local function oldest_ms(w)
  local oldest = w.head
  if get(w, oldest) == 0 then oldest = select(2, cost_sum(w, oldest, w.tail, 1)) end
  return log_time_of(w, oldest)
end

-- The first ordinal up to which the entries that count add up to `need`.
local function find(w, need)
  local _, ordinal = cost_sum(w, w.head, w.tail, need)
  return ordinal
end

return {begin = begin, append = append, get = get, settle = settle, open = open, find = find, oldest_ms = oldest_ms}
