-- Answer: leases, this server's time, then the hash as it is.
return {live(), now, redis.call('HGETALL', hash)}
