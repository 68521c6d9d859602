-- What the entries of a log count for, by ordinal: what lets a reservation be corrected in its own place in time. The
-- body of `make_weights`, made by `policies/scripts.py`; returns the operations as a table.
--
--   header  in the header of the state (`lua/log.lua`): capacity (4; 0 where there are no weights), the running
--           sums of the block and the super that the next entry falls in (6 and 6), and the origin: the ordinal
--           that stands in the first place of the costs (6)
--   costs   capacity x 4 bytes, a ring by ordinal - origin; the highest bit says "settled"
--   blocks  6 bytes a sum of 64 costs, a ring by ordinal / 64
--   supers  6 bytes a sum of 4096 costs, a ring by ordinal / 4096
--
-- A block or a super is written when it is full, and read only where the whole of it is asked for. So any range of costs
-- is summed, and any prefix found, by reading at most 4 x 64 values and the supers. The head always counts for something.

local BLOCK, SUPER = 64, 4096
local COST_BYTES, SUM_BYTES = 4, 6
local SETTLED = 2147483648
local MEND_CHUNK = 1000
-- How many costs are copied in one go. Larger strings would each be mapped into Lua's memory and out of it again, which
-- takes longer than the copying.
local PIECE = 4096

local function block_slots(w) return floor(w.capacity / BLOCK) + 2 end

local function super_slots(w) return floor(w.capacity / SUPER) + 2 end

-- The three rings differ in place, slots and width only.
local function ring(w, level)
  local costs_end = HEADER_BYTES + w.capacity * COST_BYTES
  if level == 1 then return HEADER_BYTES, w.capacity, COST_BYTES end
  if level == BLOCK then return costs_end, block_slots(w), SUM_BYTES end
  return costs_end + block_slots(w) * SUM_BYTES, super_slots(w), SUM_BYTES
end

local function place(w, level, index, slots)
  if level == 1 then return (index - w.origin) % slots end
  return index % slots
end

-- Items [first, last] of a ring, in order, as one string.
local function ring_read(w, level, first, last)
  local offset, slots, width = ring(w, level)
  local from, count = place(w, level, first, slots), last - first + 1
  local straight = min(count, slots - from)
  local bytes = call('GETRANGE', w.state, offset + from * width, offset + (from + straight) * width - 1)
  if count > straight then
    bytes = bytes .. call('GETRANGE', w.state, offset, offset + (count - straight) * width - 1)
  end
  return bytes, width
end

local function ring_write(w, level, index, value)
  local offset, slots, width = ring(w, level)
  call('SETRANGE', w.state, offset + place(w, level, index, slots) * width, pack('>I' .. width, value))
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

-- `unit` so many times over. Lua's own way takes a step for each.
local function repeated(unit, count)
  local chunk = 256
  if count < chunk then return string.rep(unit, count) end
  return string.rep(string.rep(unit, chunk), floor(count / chunk)) .. string.rep(unit, count % chunk)
end

-- A string that holds `bytes` (items first..) in a ring of `slots`, zeros elsewhere.
local function ring_layout(bytes, first, slots, width)
  local from, count = first % slots, #bytes / width
  local straight = min(count, slots - from)
  local wrapped = string.sub(bytes, straight * width + 1)
  local gap = from * width - #wrapped
  return wrapped .. repeated('\0', gap) .. string.sub(bytes, 1, straight * width)
    .. repeated('\0', (slots - from - straight) * width)
end

-- Room for a quarter more entries than there are.
local function roomy(live) return floor(live * 1.25) + 2 * BLOCK end

-- Writes the sums in their rings: `blocks` and `supers` hold the items of [head, tail) in order.
local function sums_write(w, blocks, supers)
  local offset, slots = ring(w, BLOCK)
  call('SETRANGE', w.state, offset, ring_layout(blocks, floor(w.head / BLOCK), slots, SUM_BYTES))
  offset, slots = ring(w, SUPER)
  call('SETRANGE', w.state, offset, ring_layout(supers, floor(w.head / SUPER), slots, SUM_BYTES))
end

local function sums_read(w)
  if w.tail == w.head then return '', '' end
  return (ring_read(w, BLOCK, floor(w.head / BLOCK), floor((w.tail - 1) / BLOCK))),
    (ring_read(w, SUPER, floor(w.head / SUPER), floor((w.tail - 1) / SUPER)))
end

-- Makes the string as long as its rings at once, so that Redis finds the memory for it once.
local function stretch(w)
  local offset, slots, width = ring(w, SUPER)
  call('SETRANGE', w.state, offset + slots * width - 1, '\0')
end

-- Writes the weights anew. `costs` holds those of [head, tail) in order. The header is its caller's to write.
local function write_all(w, costs, blocks, supers)
  w.capacity, w.origin = roomy(w.tail - w.head), w.head
  local _, block_count = ring(w, BLOCK)
  local _, super_count = ring(w, SUPER)
  -- One SET of the whole: Redis keeps exactly so many bytes, where a string that grows is given twice what it needs.
  call('SET', w.state, string.rep('\0', HEADER_BYTES) .. costs .. repeated('\0', w.capacity * COST_BYTES - #costs)
    .. ring_layout(blocks, floor(w.head / BLOCK), block_count, SUM_BYTES)
    .. ring_layout(supers, floor(w.head / SUPER), super_count, SUM_BYTES), 'KEEPTTL')
end

-- The weights anew, with room for as many entries as there are now: for few entries only.
local function rewrite(w)
  local blocks, supers = sums_read(w)
  write_all(w, (ring_read(w, 1, w.head, w.tail - 1)), blocks, supers)
end

-- More room. In a long log costs stay where they are, but for those that had come round to the beginning of the ring:
-- they follow the others now.
local function grow(w)
  local live, before = w.tail - w.head, w.capacity
  if live > 0 and live <= PIECE then return rewrite(w) end
  local blocks, supers = sums_read(w)
  local from = (w.head - w.origin) % before
  w.capacity = max(roomy(live), from + live + BLOCK)
  stretch(w)
  for first = 0, from + live - before - 1, PIECE do
    local count = min(PIECE, from + live - before - first)
    local at = HEADER_BYTES + first * COST_BYTES
    local costs = call('GETRANGE', w.state, at, at + count * COST_BYTES - 1)
    call('SETRANGE', w.state, at + before * COST_BYTES, costs)
  end
  w.origin = w.head - from
  sums_write(w, blocks, supers)
end

-- Begins weights where the entries that count have all counted for 1 so far.
local function begin(w)
  local head, tail = w.head, w.tail
  local live = tail - head
  local function ones(level) -- only the first item may lack entries: what the last has so far stands in the header
    if live == 0 then return '' end
    local first, last = floor(head / level), floor((tail - 1) / level)
    return pack('>I6', min(tail, (first + 1) * level) - head) .. repeated(pack('>I6', level), last - first)
  end
  w.made, w.capacity, w.origin = true, roomy(live), head
  w.block_sum = tail - max(head, tail - tail % BLOCK)
  w.super_sum = tail - max(head, tail - tail % SUPER)
  stretch(w)
  local piece = repeated(pack('>I4', 1), min(PIECE, live))
  for first = 0, live - 1, PIECE do
    local count = min(PIECE, live - first)
    call('SETRANGE', w.state, HEADER_BYTES + first * COST_BYTES, string.sub(piece, 1, count * COST_BYTES))
  end
  sums_write(w, ones(BLOCK), ones(SUPER))
end

-- Adds the entry that is about to be logged.
local function append(w, cost)
  local ordinal, live = w.tail, w.tail - w.head
  if live + BLOCK >= w.capacity then grow(w)
  elseif w.capacity > 16 * BLOCK and live * 4 < w.capacity and live <= PIECE and live > 0 then rewrite(w) end
  ring_write(w, 1, ordinal, cost)
  w.block_sum, w.super_sum = w.block_sum + cost, w.super_sum + cost
  if (ordinal + 1) % BLOCK == 0 then
    ring_write(w, BLOCK, floor(ordinal / BLOCK), w.block_sum)
    w.block_sum = 0
    if (ordinal + 1) % SUPER == 0 then
      ring_write(w, SUPER, floor(ordinal / SUPER), w.super_sum)
      w.super_sum = 0
    end
  end
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

-- Moves the head on to the first entry from `ordinal` (logged at `ms`) that counts for something.
local function head_to(w, ordinal, ms)
  if w.sum == 0 then w.head, w.head_ms = w.tail, 0 return end
  if ordinal == w.tail or get(w, ordinal) > 0 then w.head, w.head_ms = ordinal, ms or 0 return end
  local counts = select(2, cost_sum(w, ordinal, w.tail, 1))
  w.head_ms = log_time_of(w, counts)
  w.head = counts
end

-- The entries before `ordinal` (logged at `ms`) have left the window.
local function leave(w, ordinal, ms)
  w.sum = w.sum - cost_sum(w, w.head, ordinal)
  head_to(w, ordinal, ms)
end

-- Changes what an entry counts for, and says so in the sums above it. Marks it settled. The header is its caller's to
-- write.
local function settle(w, ordinal, ms, before, after)
  local change = after - before
  ring_write(w, 1, ordinal, after + SETTLED)
  if floor(ordinal / BLOCK) == floor(w.tail / BLOCK) then w.block_sum = w.block_sum + change
  else add_to_sum(w, BLOCK, ordinal, change) end
  if floor(ordinal / SUPER) == floor(w.tail / SUPER) then w.super_sum = w.super_sum + change
  else add_to_sum(w, SUPER, ordinal, change) end
  w.sum = w.sum + change
  if ordinal == w.head and after == 0 then head_to(w, ordinal, ms) end
end

-- The state was removed by another hand. What each entry from the head on reserved stands in the log itself, so the
-- weights are made again from there; what was settled since counts as reserved again. This alone takes O(n).
local function mend(w)
  local costs, from = {}, w.head_ms
  repeat
    local entries = call('XRANGE', w.log, from, '+', 'COUNT', MEND_CHUNK)
    for i = 1, #entries do costs[#costs + 1] = tonumber(entries[i][2][2]) or 1 end
    if #entries > 0 then from = '(' .. entries[#entries][1] end
  until #entries < MEND_CHUNK
  local packed, blocks, supers = {}, {}, {}
  w.sum, w.block_sum, w.super_sum = 0, 0, 0
  for i, cost in ipairs(costs) do
    packed[i] = pack('>I4', cost)
    w.sum, w.block_sum, w.super_sum = w.sum + cost, w.block_sum + cost, w.super_sum + cost
    local following = w.head + i
    if following % BLOCK == 0 or i == #costs then blocks[#blocks + 1] = pack('>I6', w.block_sum) end
    if following % SUPER == 0 or i == #costs then supers[#supers + 1] = pack('>I6', w.super_sum) end
    if following % BLOCK == 0 then w.block_sum = 0 end
    if following % SUPER == 0 then w.super_sum = 0 end
  end
  write_all(w, table.concat(packed), table.concat(blocks), table.concat(supers))
  header_write(w)
  call('PEXPIRE', w.state, max(1, call('PTTL', w.log)))
end

-- The first ordinal up to which the entries that count add up to `need`.
local function find(w, need)
  return (select(2, cost_sum(w, w.head, w.tail, need)))
end

-- What the entries [first, last] count for, as they stand in the ring: 4 bytes each.
local function read(w, first, last)
  return (ring_read(w, 1, first, last))
end

return {begin = begin, append = append, leave = leave, get = get, settle = settle, mend = mend, find = find, read = read}
