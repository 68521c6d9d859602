-- Makes a plan that was worked out the one that an import is committed by.
--
-- KEYS   1  import    a hash, see `catalogue_import.lua`
--        2  changes   a list: every change of this plan, in order; of the plan before, it has another name
--        All other keys are those of `catalogue_stage.lua`
-- ARGV   1  edition   of what was staged when the plan was begun
--        2  state     planned, or staging where it has problems
--        3  version   of the catalogue that it was made for
--        4  total     how many changes it has
--        5  kept_s    for how long the import is kept
-- Reply  {'ok'}; or {'missing'} there is no such import, {'state', state} it has begun to be applied, {'changed'}
--        something else is staged now.
--
-- Atomic, so that a plan is of all that is staged, and is never put under an import that is being applied. O(1).

local call = redis.call
local import, changes = KEYS[1], KEYS[2]
local edition, state, version, total, kept_s = unpack(ARGV)

local before, staged, replaced = unpack(call('HMGET', import, 'state', 'edition', 'changes'))
if not before then return {'missing'} end
if before ~= 'staging' and before ~= 'planned' then return {'state', before} end
if staged ~= edition then return {'changed'} end
if replaced and replaced ~= changes then call('UNLINK', replaced) end
call('HSET', import, 'state', state, 'version', version, 'total', total, 'done', 0, 'changes', changes)
-- What is staged lives as long as the import: an import that has lost a part of it would be planned as it is.
for _, key in ipairs({import, changes, import .. ':parts'}) do call('EXPIRE', key, kept_s) end
for _, kind in ipairs({'tenants', 'users', 'keys', 'tiers', 'models', 'policies'}) do
  call('EXPIRE', import .. ':' .. kind, kept_s)
  call('EXPIRE', import .. ':' .. kind .. ':names', kept_s)
end
return {'ok'}
