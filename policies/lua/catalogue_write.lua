-- Writes entities of the catalogue: all that were asked, or none.
--
-- KEYS   1  head      a hash: version, token (of the last write), import and import_until (who holds the catalogue)
--        2  changes   a stream: one entry a change, its ID is <version>-0. The audit log, and what other processes follow
--        All other keys have the same hash tag and are made of `base`, so on a Cluster they are on the same node:
--          <kind>            a hash: name -> record
--          <kind>:names      a sorted set of the names, for lists in their order
--          by:<kind>/<name>  a sorted set of those that name this one, as <kind>/<name>
--          taken             a hash: name or alias of a model -> the model
--          import:<id>       a hash: how far an import is (`catalogue_import.lua`)
-- ARGV   1  base       what all keys begin with
--        2  token      random, one for each call
--        3  actor      JSON
--        4  keep       about how many changes the log holds
--        5  import     the id of the import that this is a part of; '' for none
--        6  done       how many changes of that import were made before; '' for none
--        7  after      how many are made when this is done
--        8  last       '1' where the import ends with this
--        9… for each entity: action, kind, name, expected ('' any, '0' none, or its version), references (by blanks; one
--           that must be found here begins with '?'), names taken (by blanks), JSON ('' deletes)
-- Reply  {'ok', version}, or why nothing was written: {'import', id} another import runs, {'gone'} or {'done', n} this
--        import ended or is not where the caller thinks; {'version', i, version}, {'missing', i}, {'in_use', i, who…},
--        {'unknown', i, reference}, {'taken', i, name, by} for the i-th entity.
--
-- A record is <version>|<references>|<names taken>|<JSON>. A write that is sent twice is done once: the change it
-- would collide with carries its token. Atomic because Redis runs one script at a time, and everything is looked at
-- before anything is written. Complexity: O(entities · log n).

local call = redis.call
local head, changes = KEYS[1], KEYS[2]
local base, token, actor, keep, import, done, after, last = unpack(ARGV, 1, 8)
local FIRST, FIELDS = 9, 7
local LEASE_MS = 5000

local function parts_of(record)
  if not record then return 0, '', '', '' end
  local version, references, taken, json = string.match(record, '^(%d+)|([^|]*)|([^|]*)|(.*)$')
  return tonumber(version), references, taken, json
end

local function words(text) return string.gmatch(text, '%S+') end

local holder = call('HGET', head, 'import')
if holder and holder ~= import then return {'import', holder} end
if import ~= '' then
  if holder ~= import then return {'gone'} end
  local made = call('HGET', base .. 'import:' .. import, 'done') or '0'
  if made ~= done then return {'done', made} end
end

local function written_by_this_call(version)
  local change = call('XRANGE', changes, version, version)[1]
  if not change then return false end
  for i = 1, #change[2], 2 do
    if change[2][i] == 'token' then return change[2][i + 1] == token end
  end
end

-- 1. Everything is looked at.
if import == '' then
  for i = 0, (#ARGV - FIRST + 1) / FIELDS - 1 do
    local _, kind, name, expected, references, taken, json = unpack(ARGV, FIRST + i * FIELDS, FIRST + i * FIELDS + 6)
    local version = parts_of(call('HGET', base .. kind, name))
    if expected ~= '' and tonumber(expected) ~= version then
      if version > 0 and written_by_this_call(version) then return {'ok', version} end
      return {'version', i, version}
    end
    if json == '' then
      if version == 0 then return {'missing', i} end
      local by = call('ZRANGE', base .. 'by:' .. kind .. '/' .. name, 0, 3)
      if by[1] then return {'in_use', i, unpack(by)} end
    end
    for reference in words(references) do
      local of, whom = string.match(reference, '^%?(%l+)/(.*)$')
      if of and call('HEXISTS', base .. of, whom) == 0 then return {'unknown', i, of .. '/' .. whom} end
    end
    for each in words(taken) do
      local by = call('HGET', base .. 'taken', each)
      if by and by ~= name then return {'taken', i, each, by} end
    end
  end
end

-- While a Cluster moves the slot to another node, a key that is not here ends the script. So each that is written to is
-- touched first.
for at = FIRST, #ARGV, FIELDS do
  local kind, name, references, taken = ARGV[at + 1], ARGV[at + 2], ARGV[at + 4], ARGV[at + 5]
  local _, old_references = parts_of(call('HGET', base .. kind, name))
  call('EXISTS', base .. kind .. ':names')
  for reference in words(old_references .. ' ' .. string.gsub(references, '%?', '')) do
    call('EXISTS', base .. 'by:' .. reference)
  end
  if taken ~= '' then call('EXISTS', base .. 'taken') end
end

-- 2. Everything is written.
local now = call('TIME')
local at_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local version
-- Every change tells whose write it comes behind. One that a failover lost, and another of the same number, are told
-- apart by it, however far the history has gone on since.
local behind = call('HGET', head, 'token') or ''
for at = FIRST, #ARGV, FIELDS do
  local action, kind, name, _, references, taken, json = unpack(ARGV, at, at + 6)
  local _, old_references, old_taken, before = parts_of(call('HGET', base .. kind, name))
  version = call('HINCRBY', head, 'version', 1)
  call('XADD', changes, 'MAXLEN', '~', keep, version .. '-0', 'at', at_ms, 'actor', actor, 'action', action,
    'kind', kind, 'name', name, 'before', before, 'after', json, 'token', token, 'behind', behind)
  behind = token
  local me = kind .. '/' .. name
  for reference in words(old_references) do call('ZREM', base .. 'by:' .. reference, me) end
  for each in words(old_taken) do
    -- Another model may have taken it over earlier in the same import.
    if call('HGET', base .. 'taken', each) == name then call('HDEL', base .. 'taken', each) end
  end
  if json == '' then
    call('HDEL', base .. kind, name)
    call('ZREM', base .. kind .. ':names', name)
  else
    references = string.gsub(references, '%?', '')
    for reference in words(references) do call('ZADD', base .. 'by:' .. reference, 0, me) end
    for each in words(taken) do call('HSET', base .. 'taken', each, name) end
    call('HSET', base .. kind, name, version .. '|' .. references .. '|' .. taken .. '|' .. json)
    call('ZADD', base .. kind .. ':names', 0, name)
  end
end
if version then call('HSET', head, 'token', token) end
if import ~= '' then
  call('HSET', base .. 'import:' .. import, 'done', after)
  if last == '1' then
    call('HSET', base .. 'import:' .. import, 'state', 'done')
    call('HDEL', head, 'import', 'import_until')
  else
    call('HSET', head, 'import_until', at_ms + LEASE_MS)
  end
end
return {'ok', version or 0}
