-- hear: reads what is new in a stream of messages, and keeps it known that somebody does.
--
-- KEYS   the stream; what is there while somebody follows
-- ARGV   1  the id of the message that was read last; '' at the start: nothing of what was before is read
--        2  at most how many messages
--        3  for how many ms it stays known that somebody follows
-- reply  the server's time in ms, the id to read on from, then each message's time in ms and its text
-- cost   O(log n + messages read)
--
-- Ids are the server's own times. After a failover to a server whose clock is behind, new ids may be lower than the last
-- one that was read: so one that lies in the future is read on from now.

local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('SET', KEYS[2], '', 'PX', ARGV[3])

local after = ARGV[1]
if after == '' then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')[1]
  return {now_ms, newest and newest[1] or '0-0'}
end
if tonumber(string.match(after, '^%d+')) > now_ms then after = now_ms - 1 .. '-0' end

local messages = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2])
local reply = {now_ms, #messages > 0 and messages[#messages][1] or after}
for i = 1, #messages do
  reply[2 * i + 1] = tonumber(string.match(messages[i][1], '^%d+'))
  reply[2 * i + 2] = messages[i][2][2]
end
return reply
