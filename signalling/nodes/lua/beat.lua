-- A node says that it is there, and is told who else is.
-- ARGV: prefix, node, "1" if it takes calls, "1" if this is its first beat, silence that ends a
-- membership (ms), life of its keys without a beat (ms), longest mailbox (entries)
-- Returns {number of the node's mailbox, {node, "1" if it takes calls, ...}}; all live nodes.
--
-- <prefix>nodes     sorted set: node -> when it was last heard of (ms, this server's clock)
-- <prefix>boxes     hash: node -> number of its mailbox; new whenever contents may have been lost
-- <prefix>draining  set of nodes that take no calls
-- <prefix>batches   hash: node -> number of the last batch it has sent
-- <prefix>beat      when anybody was last heard of
-- <prefix>run       this server's run id
-- <prefix>node:<node>  stream, the mailbox; ids are <number of the mailbox>-<1, 2, 3...>
local prefix, me, accepting, first = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local silence_ms, keep_ms, longest = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local nodes, boxes, draining = prefix .. 'nodes', prefix .. 'boxes', prefix .. 'draining'
local batches, beat, run = prefix .. 'batches', prefix .. 'beat', prefix .. 'run'
local function box_of(node) return prefix .. 'node:' .. node end

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = string.format('%.0f', now_ms)

-- Nobody was heard of for a while: it was this server that was away, not all of them.
local last_ms = tonumber(redis.call('GET', beat) or now_ms)
if now_ms - last_ms > silence_ms / 2 then
  for _, node in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do redis.call('ZADD', nodes, now, node) end
end
redis.call('SET', beat, now, 'PX', keep_ms)
-- The clock was set back.
for _, node in ipairs(redis.call('ZRANGE', nodes, '(' .. now, '+inf', 'BYSCORE')) do
  redis.call('ZADD', nodes, now, node)
end
redis.call('ZADD', nodes, now, me)

-- Another run: what the mailboxes hold is older than what has been read and written.
local said = redis.pcall('INFO', 'server')
local this_run = type(said) == 'string' and string.match(said, 'run_id:(%x+)') or '?'
if redis.call('GET', run) ~= this_run then
  for _, node in ipairs(redis.call('HKEYS', boxes)) do redis.call('DEL', box_of(node)) end
  redis.call('DEL', boxes)
end
redis.call('SET', run, this_run, 'PX', keep_ms)

local silent = string.format('%.0f', now_ms - silence_ms)
for _, node in ipairs(redis.call('ZRANGE', nodes, '-inf', '(' .. silent, 'BYSCORE')) do
  redis.call('ZREM', nodes, node)
  redis.call('HDEL', boxes, node)
  redis.call('HDEL', batches, node)
  redis.call('SREM', draining, node)
  redis.call('DEL', box_of(node))
end

local changed = false
local box, number = box_of(me), redis.call('HGET', boxes, me)
if first == '1' or not number or redis.call('EXISTS', box) == 0 then
  number = string.format('%s%06d', time[1], tonumber(time[2]))
  redis.call('DEL', box)
  redis.call('XADD', box, number .. '-1', 'hello', '')
  redis.call('HSET', boxes, me, number)
  if first == '1' then redis.call('HDEL', batches, me) end
  changed = true
end
if redis.call(accepting == '1' and 'SREM' or 'SADD', draining, me) == 1 then changed = true end
for _, key in ipairs({box, nodes, boxes, draining, batches}) do redis.call('PEXPIRE', key, keep_ms) end

local listed = {}
for _, node in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  listed[#listed + 1] = node
  listed[#listed + 1] = redis.call('SISMEMBER', draining, node) == 1 and '0' or '1'
end
if changed then -- An entry without a parcel: look who is there.
  local numbers = redis.call('HGETALL', boxes)
  for i = 1, #numbers, 2 do
    if numbers[i] ~= me then
      redis.call('XADD', box_of(numbers[i]), 'NOMKSTREAM', 'MAXLEN', '~', longest,
        numbers[i + 1] .. '-*', 's', me)
    end
  end
end
return {number, listed}
