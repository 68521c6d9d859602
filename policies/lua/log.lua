-- The sliding-window log: how it is kept. Comes after `lua/common.lua`; `lua/windows.lua` opens one and adds to it, and
-- `lua/acquire.lua` does so itself for most.
--
-- One window = one (policy, subject) pair. It is kept in two keys with the same hash tag:
--
--   log    a stream. One entry per admitted charge; its ID is <server time in ms>-<ordinal>. Ordinals count the entries
--          from 1 without gaps and no entry is ever deleted from the middle, so the number of entries between any two
--          is a subtraction, however long the log. The value is the cost reserved, or '' where this entry and all
--          others that count, count for 1.
--   state  a string. Where the log stands, so that most decisions read no entry at all:
--            header  54 bytes: when the newest entry was logged (6), the next ordinal (6), when the oldest that counts was
--                    logged (6), its ordinal (6), what all count for (8); the other fields belong to the weights
--            weights what each entry counts for, once some entry counts for something other than 1 (`lua/weights.lua`)
--
-- [head, tail) are the entries that count; those that have left the window at an append never count again. Should one
-- of the keys be removed by another hand, what the other still tells is used.
--
-- The window is half open: an entry logged at t counts at every instant s with t <= s < t + window. Times are the
-- server's, in whole milliseconds. Within one log time never runs backwards: should the server's clock, the newest
-- entry's time stands in for it.

local HEADER, HEADER_BYTES, HEADER_LAST = '>I6I6I6I6I8I4I6I6I6', 54, '53'
-- How it begins: all that a log without weights needs written.
local PLAIN_HEADER = '>I6I6I6I6I8'
-- Every how many entries those that have left are trimmed, and how many at most, so that a long backlog is spread.
local TRIM_EVERY, TRIM_MOST = 64, '10000'
-- How often a log's time to live is looked at. No window is shorter.
local LOOK_MS = 100

local function entry_at(log, from)
  local entry = call('XRANGE', log, from, '+', 'COUNT', '1')[1]
  if entry then return parse_id(entry[1]) end
end

-- The keys outlive the newest entry by one window at least: three at first, looked at again once less than two are
-- left. Looking is spared while entries follow one another within LOOK_MS.
local function log_outlives(log, state, keep_ms)
  if call('PTTL', log) < 2 * keep_ms or call('PTTL', state) < 2 * keep_ms then
    call('PEXPIRE', log, 3 * keep_ms)
    call('PEXPIRE', state, 3 * keep_ms)
  end
end

