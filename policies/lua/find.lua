-- find: one step through all keys of a node, looking for those of windows.
--
-- KEYS   none: it may meet any key, and reads none
-- ARGV   where the step begins (0: at the start), a glob pattern, about how many keys to look at
-- reply  where the next step begins ('0': that was all), then the keys found
-- cost   O(keys looked at)

local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
table.insert(found[2], 1, found[1])
return found[2]
