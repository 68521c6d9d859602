-- recall: reads a remembered decision; says once and for all what it used, or keeps it for its whole time again.
--
-- KEYS   the record (`lua/remember.lua`)
-- ARGV   1  the owner
--        2  what was used; '' where the request still runs
--        3  for how many ms a settled record is kept
-- reply  the decision, what was used ('' while it runs), 1 where this call said so; nothing where there is no such
--        record, or it is another owner's
-- cost   O(1)
--
-- Atomic, so that of several settlements of one decision all but the first are told what the first one said.

local record = redis.call('HMGET', KEYS[1], 'o', 'd', 'a', 't')
local owner, decision, actual, keep_ms = record[1], record[2], record[3], record[4]
if owner ~= ARGV[1] then return {} end
if actual then return {decision, actual, 0} end
if ARGV[2] == '' then
  redis.call('PEXPIRE', KEYS[1], keep_ms)
  return {decision, '', 0}
end
redis.call('HSET', KEYS[1], 'a', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {decision, ARGV[2], 1}
