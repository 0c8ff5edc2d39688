-- A node leaves, and the others are told to look who is there.
-- ARGV: prefix, node, longest mailbox (entries)
local prefix, me, longest = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREM', prefix .. 'nodes', me)
redis.call('HDEL', prefix .. 'boxes', me)
redis.call('HDEL', prefix .. 'batches', me)
redis.call('SREM', prefix .. 'draining', me)
redis.call('DEL', prefix .. 'node:' .. me)
local numbers = redis.call('HGETALL', prefix .. 'boxes')
for i = 1, #numbers, 2 do
  redis.call('XADD', prefix .. 'node:' .. numbers[i], 'NOMKSTREAM', 'MAXLEN', '~', longest,
    numbers[i + 1] .. '-*', 's', me)
end
return 1
