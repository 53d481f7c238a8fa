-- ARGV: lease, its milliseconds, milliseconds of levels, limits of requests, tokens and concurrency, tokens to take, then for each budget
-- name, period, amount, limit. Answer: bounds in the way (1 requests, 2 tokens, 4 concurrency), place of the budget in the way or -1,
-- requests lacking (whole, ticks), tokens lacking, leases, and what each budget has spent.
local lease, leaseMs, levelMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local requestsMax, tokensMax, runningMax, tokens = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local function over(whole, ticks, n, limit) return limit > 0 and (whole + n > limit or whole + n == limit and ticks > 0) end

local running = live()
local rw, rf = level('r', requestsMax)
local tw, tf = level('t', tokensMax)
local bounds, budget = 0, -1
if over(rw, rf, 1, requestsMax) then bounds = bounds + 1 end
if over(tw, tf, tokens, tokensMax) then bounds = bounds + 2 end
if runningMax > 0 and running >= runningMax then bounds = bounds + 4 end

local values, periods = {}, {}
for i = 8, #ARGV, 4 do
  local value, period = spent(ARGV[i], ARGV[i + 1])
  if value + tonumber(ARGV[i + 2]) > tonumber(ARGV[i + 3]) and budget < 0 then budget = (i - 8) / 4 end
  values[#values + 1], periods[#periods + 1] = value, period
end

if bounds == 0 and budget < 0 then
  rw, rf = draw('r', requestsMax, 1)
  tw, tf = draw('t', tokensMax, tokens)
  for i = 1, #values do
    values[i] = values[i] + tonumber(ARGV[4 + 4 * i + 2])
    spend(ARGV[4 + 4 * i], periods[i], values[i])
  end
  hold(lease, leaseMs)
  running = running + 1
  last(levelMs)
end

local answer = {bounds, budget, rw, rf, tw, tf, running}
for i = 1, #values do answer[#answer + 1] = values[i] end
return answer
