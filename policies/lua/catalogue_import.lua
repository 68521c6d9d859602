-- Begins to apply an import: from here on it is finished, by whichever process, and nobody else writes meanwhile.
--
-- KEYS   1  head      see `catalogue_write.lua`
--        2  import    a hash: state (staging, planned, committing, done), edition, version, done, total, actor, and
--                     changes, the key of a list with the same hash tag: every change that is to be made, in order
-- ARGV   1  id        of the import
--        2  version   of the catalogue that the caller has seen the plan for
--        3  actor     JSON
-- Reply  {'ok'}; or {'import', id} another one runs, {'missing'} there is no such import, {'state', state} it has no
--        plan, or has begun already, {'version', now, planned} the catalogue or the plan is another than the caller's.
--
-- Atomic, so that the plan holds when it begins: it was made for this version. O(1).

local call = redis.call
local head, import = KEYS[1], KEYS[2]
local id, version, actor = ARGV[1], ARGV[2], ARGV[3]
local LEASE_MS = 5000
-- How long one that is never finished (Redis was away, or every process) can still be.
local KEPT_S = 7 * 86400

local state, planned, total, changes = unpack(call('HMGET', import, 'state', 'version', 'total', 'changes'))
if not state then return {'missing'} end
if state ~= 'planned' then return {'state', state} end
local holder = call('HGET', head, 'import')
if holder then return {'import', holder} end
local now_version = call('HGET', head, 'version') or '0'
if now_version ~= planned or version ~= planned then return {'version', now_version, planned} end
local now = call('TIME')
call('HSET', import, 'actor', actor)
if total == '0' then
  call('HSET', import, 'state', 'done')
  return {'ok'}
end
call('HSET', import, 'state', 'committing')
call('EXPIRE', import, KEPT_S)
call('EXPIRE', changes, KEPT_S)
call('HSET', head, 'import', id, 'import_until', now[1] * 1000 + math.floor(now[2] / 1000) + LEASE_MS)
return {'ok'}
