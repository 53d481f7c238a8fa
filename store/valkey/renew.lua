-- ARGV: milliseconds of leases, then leases. Only those that have not run out are renewed.
live()
local till = text(now + tonumber(ARGV[1]) * 1000)
for i = 2, #ARGV do redis.call('ZADD', leases, 'XX', till, ARGV[i]) end
redis.call('PEXPIRE', leases, 2 * tonumber(ARGV[1]))
return 0
