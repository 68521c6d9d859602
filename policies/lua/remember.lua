-- remember: keeps an admitted decision, so that any process may settle it.
--
-- KEYS   the record: a hash of its owner (o), the decision (d), how long it is kept in ms (t) and, once it is settled,
--        what was used (a)
-- ARGV   the owner, the decision, for how many ms
-- reply  1
-- cost   O(1)
--
-- Atomic, so that no record is left without its end.

redis.call('HSET', KEYS[1], 'o', ARGV[1], 'd', ARGV[2], 't', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1}
