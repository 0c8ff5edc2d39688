-- On which other live nodes users have sockets. Nodes that are no more are forgotten on the way.
-- ARGV: prefix, node that asks, users...
-- Returns a list of nodes for each user.
local prefix, me = ARGV[1], ARGV[2]
local boxes = prefix .. 'boxes'
local live = {}
local answer = {}
for i = 3, #ARGV do
  local key, found = prefix .. 'user:' .. ARGV[i], {}
  for _, node in ipairs(redis.call('SMEMBERS', key)) do
    if live[node] == nil then live[node] = redis.call('HEXISTS', boxes, node) == 1 end
    if not live[node] then
      redis.call('SREM', key, node)
    elseif node ~= me then
      found[#found + 1] = node
    end
  end
  answer[#answer + 1] = found
end
return answer
