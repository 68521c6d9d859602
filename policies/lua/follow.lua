-- follow: what is new in a log since it was last looked at, and what the window comes to at that same moment.
--
-- KEYS   the log and its state
-- ARGV   1, 2  the window in ms, and the limit
--        3, 4  the ms and the ordinal of the last entry that was read before; 0 and 0 at the start
--        5     of a log with more entries than this, none is told
--        6     but how many there are in each span of so many ms; 0: not asked for
--        7     the time in ms that stands in for the server's clock; '' for the clock itself (tests steer it)
-- reply  the server's time; from when on entries count; what they count for; ms until a cost of 1 fits (0 now, -1
--        never); when the oldest was logged (0: none); the ordinals of those that count, the last excluded; the costs
--        ('' where each counts for 1, else 4 bytes for each that counts, the highest bit saying "settled"); then
--        0 and the ms and the ordinal of each new entry, or, where there are too many, when the first span begins
--        and the number of each, or -1 where spans are not asked for
-- cost   O(log n + new entries), with costs O(entries); spans O(spans log n), whatever the number of entries
--
-- Atomic: the window, the costs and the entries are of one moment, so what the entries count for adds up to what is
-- used. Ordinals have no gaps, so the number of entries between two times is a subtraction. Writes nothing, except that
-- a state which another hand removed is made again, as in any decision.

local window_ms, limit, after_ms, after = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local w = log_open(KEYS[1], KEYS[2], window_ms, server_ms(ARGV[7]))
local live = w.tail - w.head
local reply = {w.clock, w.since, w.sum, log_retry_ms(w, 1, limit), live > 0 and w.head_ms or 0, w.head, w.tail, '', 0}
if live == 0 then return reply end

if live > tonumber(ARGV[5]) then
  local span_ms = tonumber(ARGV[6])
  if span_ms == 0 then reply[9] = -1 return reply end
  local from = floor(w.since / span_ms) * span_ms
  reply[9] = from
  local before, n = w.head, 9
  for ends = from + span_ms, w.now, span_ms do
    local following = w.tail
    if ends <= w.last_ms then
      local _, ordinal = entry_at(w.log, ends)
      following = max(ordinal or w.tail, w.head)
    end
    n = n + 1
    reply[n], before = following - before, following
  end
  reply[n + 1] = w.tail - before
  return reply
end

if w.capacity > 0 then reply[8] = weights().read(w, w.head, w.tail - 1) end
if after == w.tail - 1 then return reply end
local from = w.head_ms .. '-' .. w.head
if after >= w.head and after < w.tail then from = '(' .. after_ms .. '-' .. after end
local entries = call('XRANGE', w.log, from, '+', 'COUNT', live)
for i = 1, #entries do reply[2 * i + 8], reply[2 * i + 9] = parse_id(entries[i][1]) end
return reply
