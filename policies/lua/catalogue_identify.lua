-- Who holds a key: its record, its user's and that user's tenant's, in one round trip. Writes nothing; O(1).
--
-- KEYS   1  head    see `catalogue_write.lua`
-- ARGV   1  base    what all keys of the catalogue begin with
--        2  id      of the key
-- Reply  {the key's record, the user's, the tenant's}; '' for each that is not here (the configuration may have it).
--
-- Atomic, so that the three belong together.

local call = redis.call
local base, id = ARGV[1], ARGV[2]

-- The first reference of a key is its user, and the only one of a user its tenant.
local function follow(record, of)
  local name = record and string.match(record, '^%d+|' .. of .. '/([^ |]+)')
  return name and call('HGET', base .. of, name) or false
end

local key = call('HGET', base .. 'keys', id)
local user = follow(key, 'users')
local tenant = follow(user, 'tenants')
return {key or '', user or '', tenant or ''}
