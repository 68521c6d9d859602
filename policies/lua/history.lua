-- history: reads a piece of a log, oldest first, with what each entry counts for.
--
-- KEYS   the log and its state
-- ARGV   1, 2  the ms and the ordinal of the last entry that was read before; 0 and 0 at the start
--        3     at most how many entries
-- reply  what the costs stand as: '' (each counts for 1) or 4 bytes an entry, the highest bit saying "settled"; then
--        the ms and the ordinal of each entry
-- cost   O(log n + entries read)
--
-- Only what counted when the newest entry was logged is read: what left before has no settled cost any more. Writes
-- nothing, except that a state which another hand removed is made again, as in any decision.

local WHOLE_LOG_MS = 2 ^ 50

local w = log_open(KEYS[1], KEYS[2], WHOLE_LOG_MS, server_ms(''))
local reply, after_ms, after = {''}, tonumber(ARGV[1]), tonumber(ARGV[2])
if w.head >= w.tail then return reply end
local from = after >= w.head and '(' .. after_ms .. '-' .. after or w.head_ms .. '-' .. w.head
local entries = call('XRANGE', w.log, from, '+', 'COUNT', ARGV[3])
if #entries == 0 then return reply end
for i = 1, #entries do reply[2 * i], reply[2 * i + 1] = parse_id(entries[i][1]) end
if w.capacity > 0 then reply[1] = weights().read(w, reply[3], reply[2 * #entries + 1]) end
return reply
