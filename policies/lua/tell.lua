-- tell: adds a message to a stream that others follow, if anybody does.
--
-- KEYS   the stream; what is there while somebody follows
-- ARGV   1  the message; '' only looks
--        2  about how many messages are kept
--        3  for how many ms after the newest one
-- reply  1 if somebody follows, else 0 (and nothing was added); the server's time in ms
-- cost   O(1)
--
-- Atomic, so that nothing is ever added that nobody would read.

local now = redis.call('TIME')
local reply = {redis.call('EXISTS', KEYS[2]), now[1] * 1000 + math.floor(now[2] / 1000)}
if reply[1] == 1 and ARGV[1] ~= '' then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', '', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return reply
