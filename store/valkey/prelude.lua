-- What every script shares. KEYS[1] is a hash with a tenant's levels, KEYS[2] a sorted set with its leases, by when they run out.
-- Lua counts in doubles, exact below 2^53, so that what a bucket lacks is kept in two numbers: whole tokens (or requests) and ticks,
-- of which TICKS make one. A limit of n a minute refills n ticks in a microsecond. Times are microseconds by this server's clock.
local TICKS = 60000000
local BEHIND_MAX = 6000000000 -- a bucket is at most 100 minutes behind

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local hash, leases = KEYS[1], KEYS[2]

local function text(n) return string.format('%.0f', n) end
local function field(name) return tonumber(redis.call('HGET', hash, name) or '0') end

-- refill gives what is lacking after us microseconds. The limit is multiplied in two parts, so that no product leaves 2^53.
local function refill(whole, ticks, us, limit)
  if limit == 0 or us >= BEHIND_MAX then return 0, 0 end
  if us <= 0 then return whole, ticks end
  local minutes = math.floor(us / TICKS)
  local rest = us - minutes * TICKS
  local high = math.floor(limit / 10000)
  local low = limit - high * 10000
  local a = rest * high
  local tokens = math.floor(a / TICKS)
  local b = (a - tokens * TICKS) * 10000 + rest * low
  local more = math.floor(b / TICKS)
  whole = whole - minutes * limit - tokens * 10000 - more
  ticks = ticks - (b - more * TICKS)
  if ticks < 0 then whole, ticks = whole - 1, ticks + TICKS end
  if whole < 0 then return 0, 0 end
  return whole, ticks
end

-- level reads a bucket ('r' requests, 't' tokens) as it is now.
local function level(bucket, limit)
  local at = redis.call('HGET', hash, bucket .. 'a')
  if not at then return 0, 0 end
  return refill(field(bucket .. 'w'), field(bucket .. 'f'), now - tonumber(at), limit)
end

local function keep(bucket, whole, ticks)
  redis.call('HSET', hash, bucket .. 'w', text(whole), bucket .. 'f', text(ticks), bucket .. 'a', text(now))
end

-- draw changes a bucket by n and keeps it. A limit of 0 keeps none.
local function draw(bucket, limit, n)
  if limit == 0 then return 0, 0 end
  local whole, ticks = level(bucket, limit)
  whole = whole + n
  if whole < 0 then whole, ticks = 0, 0 end
  if whole >= 100 * limit then whole, ticks = 100 * limit, 0 end
  keep(bucket, whole, ticks)
  return whole, ticks
end

-- spent gives what a budget has spent in its present period, and that period. Periods only move on.
local function spent(name, period)
  local kept = redis.call('HGET', hash, 'p:' .. name)
  if not kept or kept < period then return 0, period end
  return field('s:' .. name), kept
end

local function spend(name, period, value)
  redis.call('HSET', hash, 's:' .. name, text(value), 'p:' .. name, period, 'a:' .. name, text(now))
end

-- live drops the leases that have run out and counts the rest.
local function live()
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', text(now))
  return redis.call('ZCARD', leases)
end

local function hold(lease, milliseconds)
  redis.call('ZADD', leases, text(now + milliseconds * 1000), lease)
  redis.call('PEXPIRE', leases, 2 * milliseconds)
end

-- last keeps the levels for as long as anyone may want them.
local function last(milliseconds) redis.call('PEXPIRE', hash, milliseconds) end
