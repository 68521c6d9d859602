-- The sliding-window log: what every operation on it shares. Comes after `lua/common.lua` and `lua/weights.lua`.
--
-- One window = one (policy, subject) pair. It is kept in up to two keys with the same hash tag:
--
--   log      a stream. One entry per admitted charge; its ID is <server time in ms>-<ordinal>. Ordinals count the
--            entries from 1 without gaps and no entry is ever deleted from the middle, so the number of entries
--            between any two is a subtraction, however long the log. The value is the cost reserved, or '' where
--            this entry and all others that count, count for 1.
--   weights  a string: what each entry counts for, by ordinal (`lua/weights.lua`). It exists only once some entry
--            counts for something other than 1; the newest entry's value says whether it must.
--
-- The window is half open: an entry logged at t counts at every instant s with t <= s < t + window. Times are the
-- server's, in whole milliseconds. Within one log time never runs backwards: should the server's clock, the newest
-- entry's time stands in for it.

-- Every how many entries those that have left are trimmed, and how many at most, so that a long backlog is spread.
local TRIM_EVERY, TRIM_MOST = 64, '10000'
-- How often a log's time to live is looked at. No window is shorter.
local LOOK_MS = 100

-- When the entry with this ordinal was logged, by bisection of the IDs: at most 32 probes for 31 days.
local function log_time_of(w, ordinal)
  if ordinal == w.first_ordinal then return w.first_ms end
  local low, high = w.first_ms, w.last_ms
  while low <= high do
    local middle = floor((low + high) / 2)
    local entry = call('XRANGE', w.log, middle .. '-' .. ordinal, '+', 'COUNT', '1')[1]
    local ms, found
    if entry then ms, found = parse_id(entry[1]) end
    if found == ordinal then return ms end
    if found and found < ordinal then low = ms else high = middle - 1 end
  end
  return w.last_ms
end

-- Made when the first weighted window is met: most requests meet none, and making functions costs at every call.
local weights_made
local function weights()
  weights_made = weights_made or make_weights(log_time_of)
  return weights_made
end

-- Reads a window: what it holds at this moment. Complexity: O(log n).
--
--   clock, now                the server's time, and the log's (the same unless the clock ran backwards)
--   last_ms, last_ordinal     the newest entry there is (nil, 0)
--   first_ms, first_ordinal   the oldest entry in the window (nil)
--   used                      what the entries in the window count for
local function log_open(log, weights_key, window_ms, clock)
  local w = {log = log, weights = weights_key, window_ms = window_ms, clock = clock, now = clock,
    used = 0, last_ordinal = 0}
  local newest = call('XREVRANGE', log, '+', '-', 'COUNT', '1')[1]
  if not newest then return w end
  w.last_ms, w.last_ordinal = parse_id(newest[1])
  w.weighted = newest[2][2] ~= ''
  w.now = max(clock, w.last_ms)
  w.since = max(0, w.now - window_ms + 1)
  if w.last_ms < w.since then return w end
  w.first_ms, w.first_ordinal = parse_id(call('XRANGE', log, w.since, '+', 'COUNT', '1')[1][1])
  w.used = w.last_ordinal - w.first_ordinal + 1
  if w.weighted then weights().open(w) end
  return w
end

-- When the oldest entry that counts for anything was logged; 0 where none does.
local function log_oldest_ms(w)
  if w.used == 0 then return 0 end
  return w.weighted and weights().oldest_ms(w) or w.first_ms
end

-- Milliseconds until `cost` fits if nothing else is admitted: 0 now, -1 never.
local function log_retry_ms(w, cost, limit)
  if cost > limit then return -1 end
  local need = w.used + cost - limit
  if need <= 0 then return 0 end
  local ordinal = w.weighted and weights().find(w, need) or w.first_ordinal + need - 1
  return log_time_of(w, ordinal) + w.window_ms - w.clock
end

-- The keys outlive the newest entry by one window at least: three at first, looked at again once less than two are
-- left. Looking is spared while entries follow one another within LOOK_MS.
local function log_outlives(w, keep_ms)
  if call('PTTL', w.log) < 2 * keep_ms then call('PEXPIRE', w.log, 3 * keep_ms) end
  if w.weighted and call('PTTL', w.weights) < 2 * keep_ms then call('PEXPIRE', w.weights, 3 * keep_ms) end
end

-- Logs one entry.
local function log_append(w, cost, keep_ms, at_ms)
  local ordinal, begun = w.last_ordinal + 1, false
  if not w.first_ordinal and (w.weighted or ordinal == 1) then -- nothing counts any more: afresh, without weights
    call('DEL', w.weights)
    w.weighted = false
  end
  if cost ~= 1 and not w.weighted then
    weights().begin(w, w.first_ordinal or ordinal, ordinal)
    begun = true
  end
  local id, value = at_ms .. '-' .. ordinal, w.weighted and cost or ''
  if ordinal % TRIM_EVERY == 0 then
    call('XADD', w.log, 'MINID', '~', w.since or at_ms, 'LIMIT', TRIM_MOST, id, '', value)
  else
    call('XADD', w.log, id, '', value)
  end
  if w.weighted then weights().append(w, cost) end
  if begun or not w.last_ms or floor(at_ms / LOOK_MS) ~= floor(w.last_ms / LOOK_MS) then log_outlives(w, keep_ms) end
  w.last_ordinal, w.last_ms, w.used = ordinal, at_ms, w.used + cost
  if not w.first_ordinal then w.first_ordinal, w.first_ms = ordinal, at_ms end
  return ordinal
end
