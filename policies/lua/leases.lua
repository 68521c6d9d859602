-- Leases: what is held rather than spent (concurrent requests). A sorted set of holders by the time in ms at which
-- their lease ends; at that very millisecond it has ended. Comes after `lua/common.lua`.
--
-- A holder of several slots is the member <id>:<slots>. What all holders hold beyond the first slot each is kept as
-- the member '+' whose score is that number below zero, so that it stands first and counts as no lease.

local BEYOND = '+'
-- How many holders are looked at in one go, and how many of the dead leave in one call.
local LEASE_CHUNK, LEASE_LEAVE = 1000, 250

local function lease_member(holder, slots)
  if slots == 1 then return holder end
  return holder .. ':' .. slots
end

local function lease_slots(member)
  return tonumber(string.match(member, ':(%d+)$')) or 1
end

-- Calls visit(slots, ends, i) for the holders of ranks [first, last] in order of their ends, until it says true.
local function lease_each(w, first, last, visit)
  for from = first, last, LEASE_CHUNK do
    local holders = call('ZRANGE', w.leases, from, min(last, from + LEASE_CHUNK - 1), 'WITHSCORES')
    for i = 1, #holders, 2 do
      if visit(lease_slots(holders[i]), tonumber(holders[i + 1]), from - first + (i + 1) / 2) then return end
    end
  end
end

-- Reads who holds what at this moment. Writes nothing. Complexity: O(log n); O(expired) where holders of several
-- slots have died.
local function lease_open(leases, clock)
  local w = {leases = leases, clock = clock, base = 0, beyond = 0, expired = 0, dead_beyond = 0, sum = 0}
  local first = call('ZRANGE', leases, 0, 0, 'WITHSCORES')
  if not first[1] then return w end
  local ends = tonumber(first[2])
  if ends < 0 then w.beyond, w.base, ends = -ends, 1, 0 end
  if ends <= clock then w.expired = call('ZCOUNT', leases, '(0', clock) end
  w.count = call('ZCARD', leases)
  w.sum = w.count - w.base - w.expired + w.beyond
  if w.expired > 0 and w.beyond > 0 then
    lease_each(w, w.base, w.base + w.expired - 1, function(slots, _, i)
      w.sum = w.sum - slots + 1
      if i <= LEASE_LEAVE then w.dead_beyond = w.dead_beyond + slots - 1 end
    end)
  end
  return w
end

-- Milliseconds until `cost` fits if nothing is given back before its lease ends: 0 now, -1 never.
local function lease_retry_ms(w, cost, limit)
  if cost > limit then return -1 end
  local need, first = w.sum + cost - limit, w.base + w.expired
  if need <= 0 then return 0 end
  if w.beyond == 0 then
    local at = first + need - 1
    return tonumber(call('ZRANGE', w.leases, at, at, 'WITHSCORES')[2]) - w.clock
  end
  local last_end
  lease_each(w, first, w.count - 1, function(slots, ends)
    need, last_end = need - slots, ends
    return need <= 0
  end)
  return last_end - w.clock
end

local function leases_outlive(leases, lease_ms)
  if call('PTTL', leases) < 2 * lease_ms then call('PEXPIRE', leases, 3 * lease_ms) end
end

local function lease_beyond(leases, beyond)
  if beyond > 0 then call('ZADD', leases, -beyond, BEYOND) else call('ZREM', leases, BEYOND) end
end

-- Takes slots for a holder. Some of the dead leave with it, so that a mass of them is spread.
local function lease_take(w, holder, cost, lease_ms)
  if w.expired > 0 then
    call('ZREMRANGEBYRANK', w.leases, w.base, w.base + min(w.expired, LEASE_LEAVE) - 1)
  end
  call('ZADD', w.leases, w.clock + lease_ms, lease_member(holder, cost))
  local change = cost - 1 - w.dead_beyond
  if change ~= 0 then lease_beyond(w.leases, w.beyond + change) end
  leases_outlive(w.leases, lease_ms)
end

-- Gives a holder's slots back. 1: given back; 0: it held none (any more).
local function lease_give(leases, holder, cost)
  local held = call('ZREM', leases, lease_member(holder, cost))
  if held == 1 and cost > 1 then
    local beyond = -(tonumber(call('ZSCORE', leases, BEYOND)) or 0)
    lease_beyond(leases, beyond - (cost - 1))
  end
  return held
end
