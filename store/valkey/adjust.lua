-- ARGV: milliseconds of levels, then for each change: lease (empty: none is needed), 1 where it ends, limits of requests and tokens,
-- requests, tokens, number of budgets, and for each name, period, amount. A change whose lease is unknown is passed over: it has
-- ended before. KEYS[3], where there is one, is set by the first call that has it, and the others do nothing.
if KEYS[3] and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', 3600000) then return 0 end
live()
local i = 2
local changed = 0
while i <= #ARGV do
  local lease, ends, budgets = ARGV[i], ARGV[i + 1] == '1', tonumber(ARGV[i + 6])
  if lease == '' or redis.call('ZSCORE', leases, lease) then
    changed = changed + 1
    local requests, tokens = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
    if requests ~= 0 then draw('r', tonumber(ARGV[i + 2]), requests) end
    if tokens ~= 0 then draw('t', tonumber(ARGV[i + 3]), tokens) end
    for b = i + 7, i + 4 + 3 * budgets, 3 do
      local name, period, amount = ARGV[b], ARGV[b + 1], tonumber(ARGV[b + 2])
      local value, present = spent(name, period)
      if amount > 0 or present == period then spend(name, present, math.max(0, value + amount)) end
    end
    if ends and lease ~= '' then redis.call('ZREM', leases, lease) end
  end
  i = i + 7 + 3 * budgets
end
if changed > 0 then last(tonumber(ARGV[1])) end
return changed
