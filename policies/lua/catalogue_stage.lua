-- Stages one part of an import, in the place of what that part held before. Nothing of the catalogue is touched.
--
-- KEYS   1  import    a hash: state, edition (counts the parts that were staged), see `catalogue_import.lua`
--        2  parts     a sorted set: <kind>/<name> of all that is staged, by the number of its part
--        All other keys have the same hash tag:
--          <import>:<kind>        a hash: name -> JSON
--          <import>:<kind>:names  a sorted set of the names, for going through them in their order
-- ARGV   1  part      its number
--        2  kept_s    for how long all of it is kept
--        3… for each entity: kind, name, JSON
-- Reply  {'ok'}; or {'missing'} there is no such import, {'state', state} it takes no more, {'twice', kind, name}
--        another part has that.
--
-- Atomic, so that no part slips into an import that has begun to be applied, and no name into two parts. O(n log n).

local call = redis.call
local import, parts = KEYS[1], KEYS[2]
local part, kept_s = ARGV[1], ARGV[2]
local FIRST = 3

local state = call('HGET', import, 'state')
if not state then return {'missing'} end
if state ~= 'staging' and state ~= 'planned' then return {'state', state} end
for i = FIRST, #ARGV, 3 do
  local held_by = call('ZSCORE', parts, ARGV[i] .. '/' .. ARGV[i + 1])
  if held_by and tonumber(held_by) ~= tonumber(part) then return {'twice', ARGV[i], ARGV[i + 1]} end
end

for _, each in ipairs(call('ZRANGEBYSCORE', parts, part, part)) do
  local kind, name = string.match(each, '^(%l+)/(.*)$')
  call('HDEL', import .. ':' .. kind, name)
  call('ZREM', import .. ':' .. kind .. ':names', name)
end
call('ZREMRANGEBYSCORE', parts, part, part)
for i = FIRST, #ARGV, 3 do
  local kind, name, json = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  call('HSET', import .. ':' .. kind, name, json)
  call('ZADD', import .. ':' .. kind .. ':names', 0, name)
  call('ZADD', parts, part, kind .. '/' .. name)
end
call('HSET', import, 'state', 'staging')
call('HINCRBY', import, 'edition', 1)
call('EXPIRE', import, kept_s)
call('EXPIRE', parts, kept_s)
for _, kind in ipairs({'tenants', 'users', 'keys', 'tiers', 'models', 'policies'}) do
  call('EXPIRE', import .. ':' .. kind, kept_s)
  call('EXPIRE', import .. ':' .. kind .. ':names', kept_s)
end
return {'ok'}
