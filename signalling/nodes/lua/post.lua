-- What a node has for others, in order. A batch that was carried out before does nothing.
-- ARGV: prefix, node, number of the batch, longest mailbox (entries), life of a user's key (s),
-- then three for each: kind, target, parcel
--   "+" user "": the user has sockets on the node; "~": none, but a session that waits for one;
--   "-": neither
--   "n" node parcel / "a" "" parcel / "u" user parcel: to one, to all, to those of the user
-- Returns 1; 0 if the node is not a member (nothing is done).
local prefix, me, number, longest, user_s = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local boxes, batches = prefix .. 'boxes', prefix .. 'batches'
local ENTRY_PARCELS, ENTRY_BYTES = 32, 65536

if redis.call('HEXISTS', boxes, me) == 0 then return 0 end
if number <= tonumber(redis.call('HGET', batches, me) or 0) then return 1 end
redis.call('HSET', batches, me, string.format('%.0f', number))

local box_numbers = {}
local function box_number(node)
  local found = box_numbers[node]
  if found == nil then
    found = redis.call('HGET', boxes, node)
    box_numbers[node] = found
  end
  return found
end

local entries, sizes = {}, {}
local function send(node)
  local entry = entries[node]
  entries[node] = nil
  redis.call('XADD', prefix .. 'node:' .. node, 'NOMKSTREAM', 'MAXLEN', '~', longest,
    box_number(node) .. '-*', 's', me, unpack(entry))
end
local function put(node, parcel)
  if node == me or not box_number(node) then return end
  local entry = entries[node]
  if not entry then
    entry = {}
    entries[node], sizes[node] = entry, 0
  end
  entry[#entry + 1] = 'p'
  entry[#entry + 1] = parcel
  sizes[node] = sizes[node] + #parcel
  if #entry >= 2 * ENTRY_PARCELS or sizes[node] >= ENTRY_BYTES then send(node) end
end

local everybody
local members = {}
for i = 6, #ARGV, 3 do
  local kind, target, parcel = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if kind == '+' then
    redis.call('SADD', prefix .. 'user:' .. target, me)
    redis.call('EXPIRE', prefix .. 'user:' .. target, user_s)
    redis.call('SREM', prefix .. 'wait:' .. target, me)
  elseif kind == '~' then
    redis.call('SREM', prefix .. 'user:' .. target, me)
    redis.call('SADD', prefix .. 'wait:' .. target, me)
    redis.call('EXPIRE', prefix .. 'wait:' .. target, user_s)
  elseif kind == '-' then
    redis.call('SREM', prefix .. 'user:' .. target, me)
    redis.call('SREM', prefix .. 'wait:' .. target, me)
  elseif kind == 'n' then
    put(target, parcel)
  elseif kind == 'a' then
    everybody = everybody or redis.call('HKEYS', boxes)
    for _, node in ipairs(everybody) do put(node, parcel) end
  elseif kind == 'u' then
    local nodes = members[target]
    if not nodes then
      nodes = redis.call('SUNION', prefix .. 'user:' .. target, prefix .. 'wait:' .. target)
      members[target] = nodes
    end
    for _, node in ipairs(nodes) do put(node, parcel) end
  end
end
for node in pairs(entries) do send(node) end
return 1
