-- Windows of the sliding-window log, opened: what every operation on one shares, whatever its entries count for. Comes
-- after `lua/log.lua` and `lua/weights.lua`.

-- When the entry with this ordinal was logged: interpolation between known entries, and every other time bisection, so
-- that 64 probes do for 31 days and a handful for steady traffic.
local function log_time_of(w, ordinal)
  if ordinal == w.head then return w.head_ms end
  local low, low_ordinal, high, high_ordinal = w.head_ms, w.head, w.last_ms, w.tail
  local halve = false
  while low <= high do
    local share = halve and 0.5 or (ordinal - low_ordinal) / (high_ordinal - low_ordinal)
    local middle = floor(low + (high - low) * share)
    local ms, found = entry_at(w.log, middle .. '-' .. ordinal)
    if found == ordinal then return ms end
    if found and found < ordinal then low, low_ordinal = ms, found else high = middle - 1 end
    halve = not halve
  end
  return w.last_ms
end

local function header_write(w)
  call('SETRANGE', w.state, '0',
    pack(HEADER, w.last_ms, w.tail, w.head_ms, w.head, w.sum, w.capacity, w.block_sum, w.super_sum, w.origin))
end

-- Made when the first weighted window is met: most requests meet none, and making functions costs at every call.
local weights_made
local function weights()
  weights_made = weights_made or make_weights(log_time_of, header_write, HEADER_BYTES)
  return weights_made
end

-- The state was removed by another hand (evicted, for example), or there is no log yet.
local function state_mend(w)
  local newest = call('XREVRANGE', w.log, '+', '-', 'COUNT', '1')[1]
  if not newest then return end
  w.last_ms, w.tail = parse_id(newest[1])
  w.tail, w.head = w.tail + 1, w.tail + 1
  local since = max(0, max(w.clock, w.last_ms) - w.window_ms + 1)
  if w.last_ms < since then return end
  w.head_ms, w.head = entry_at(w.log, since)
  if newest[2][2] ~= '' then weights().mend(w) else w.sum = w.tail - w.head end
end

-- Reads a window: what it holds at this moment. Complexity: O(log n). `header`: that of its state, where it was read.
--
--   clock, now       the server's time, and the log's (the same unless the clock ran backwards)
--   last_ms          when the newest entry was logged (0: there is none)
--   head_ms          when the oldest that counts was logged
--   head, tail       the ordinals of those that count, the latter excluded
--   sum              what they count for
--   capacity         of the weights; 0 where each counts for 1
local function log_open(log, state, window_ms, clock, header)
  local w = {log = log, state = state, window_ms = window_ms, clock = clock, now = clock, since = 0,
    last_ms = 0, tail = 1, head_ms = 0, head = 1, sum = 0, capacity = 0, block_sum = 0, super_sum = 0, origin = 0,
    cost = 0}
  header = header or call('GETRANGE', state, '0', HEADER_LAST)
  if #header == HEADER_BYTES then
    w.last_ms, w.tail, w.head_ms, w.head, w.sum, w.capacity, w.block_sum, w.super_sum, w.origin =
      unpack_at(HEADER, header)
  else
    w.made = true
    state_mend(w)
  end
  if w.last_ms > clock then w.now = w.last_ms end
  local since = w.now - window_ms + 1
  if since > 0 then w.since = since end
  if w.head_ms < since and w.head < w.tail then
    local ms, ordinal
    if w.last_ms >= since then ms, ordinal = entry_at(log, since) end
    if w.capacity > 0 then weights().leave(w, ordinal or w.tail, ms)
    else w.head, w.head_ms, w.sum = ordinal or w.tail, ms or 0, w.tail - (ordinal or w.tail) end
  end
  return w
end

-- Milliseconds until `cost` fits if nothing else is admitted: 0 now, -1 never.
local function log_retry_ms(w, cost, limit)
  if cost > limit then return -1 end
  local need = w.sum + cost - limit
  if need <= 0 then return 0 end
  local ordinal = w.capacity > 0 and weights().find(w, need) or w.head + need - 1
  return log_time_of(w, ordinal) + w.window_ms - w.clock
end

-- Logs one entry, and returns its ordinal.
local function log_append(w, cost, keep_ms)
  local ordinal, at_ms, before_ms, value = w.tail, w.now, w.last_ms, ''
  if w.capacity > 0 and w.head == ordinal then -- nothing counts any more: afresh, without weights
    call('DEL', w.state)
    w.capacity, w.block_sum, w.super_sum, w.made = 0, 0, 0, true
  end
  if cost ~= 1 and w.capacity == 0 then weights().begin(w) end
  if w.capacity > 0 then
    weights().append(w, cost)
    value = cost
  end
  if ordinal % TRIM_EVERY == 0 then
    call('XADD', w.log, 'MINID', '~', w.since, 'LIMIT', TRIM_MOST, at_ms .. '-' .. ordinal, '', value)
  else
    call('XADD', w.log, at_ms .. '-' .. ordinal, '', value)
  end
  if w.head == ordinal then w.head_ms = at_ms end
  w.tail, w.last_ms, w.sum = ordinal + 1, at_ms, w.sum + cost
  header_write(w)
  if w.made or floor(at_ms / LOOK_MS) ~= floor(before_ms / LOOK_MS) then log_outlives(w.log, w.state, keep_ms) end
  return ordinal
end
