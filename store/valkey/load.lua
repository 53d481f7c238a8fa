-- ARGV: milliseconds of levels, then for each row: a bucket ('r' or 't'), whole, ticks, its age in microseconds; or a budget's name,
-- period, value, age. Rows go where there are none yet; a budget also where there is an earlier period.
for i = 2, #ARGV, 4 do
  local name, at = ARGV[i], now - tonumber(ARGV[i + 3])
  if name == 'r' or name == 't' then
    if redis.call('HSETNX', hash, name .. 'a', text(at)) == 1 then
      redis.call('HSET', hash, name .. 'w', ARGV[i + 1], name .. 'f', ARGV[i + 2])
    end
  else
    local kept = redis.call('HGET', hash, 'p:' .. name)
    if not kept or kept < ARGV[i + 1] then
      redis.call('HSET', hash, 's:' .. name, ARGV[i + 2], 'p:' .. name, ARGV[i + 1], 'a:' .. name, text(at))
    end
  end
end
last(tonumber(ARGV[1]))
return 0
