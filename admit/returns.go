package admit

import (
	"math"
	"time"

	"github.com/weir-ai/weir/llm"
)

// When those come back who were refused. Told the same time, they would come together and be refused together; told the time by which the
// line will have drained, they would find the line that newcomers have made meanwhile. So each is booked on future capacity: the time to
// come back is when the work of all who were told before, of those that do come, will have started. And who comes when told is let in
// before newcomers of its own tenant, for whom there is a little less room while others are expected. How many do come is learned, from the
// same request coming again in its time.

// returns is the book of those who were told to come back.
type returns struct {
	booked map[uint64]uint16               // by request and second: how many
	keys   [window][]uint64                // of booked, by second
	work   [window][llm.ClassCount]float64 // that was booked, by second and class
	second int64                           // the latest that was seen
	come   float64                         // share of those who are told that come
	jitter uint64                          // counts
	seed   uint64
}

const (
	// retryLeast and retryMost bound RetryAfter: official SDKs take less for their own backoff and do not heed more.
	retryLeast = time.Second
	retryMost  = time.Minute
	// retrySpread is how much later than said at most those are told to come whom nothing else spreads.
	retrySpread = 0.1
	// grace is how many seconds after its time one counts as coming when told: the whole seconds of the header, the way, a slow client.
	grace = 5
	// window is how many seconds the book has: the longest RetryAfter, grace, and some more.
	window = 72
	// bookedMost bounds the book, some 3 MB. Who is not in it is told a time all the same, and is a newcomer then.
	bookedMost = 1 << 16
	// comePrior, comeStep and comeLeast: nobody knows at first how many obey; a third is between none and the users of SDKs. It is learned
	// within some fifty; and it never gets so low that those few who obey are told a time that says nothing.
	comePrior = 0.3
	comeStep  = 0.02
	comeLeast = 0.02
	// bookPart is the part of the capacity that is given away in advance. All of it would leave newcomers nothing for as long as the book
	// reaches.
	bookPart = 0.8
	// keepPlace puts one who comes when told before all newcomers in its tenant's line: further than any deadline is away.
	keepPlace = 24 * time.Hour
)

// ledger is work that was told to come back, less what capacity there was for it since.
type ledger struct {
	work float64
	at   instant
}

// ahead is how long the work in the ledger takes at a rate of work a second.
func (l *ledger) ahead(t instant, rate float64) time.Duration {
	l.work = max(l.work-rate*(t-l.at).Seconds(), 0)
	l.at = t
	if rate <= 0 {
		return 0
	}
	return time.Duration(min(l.work/rate, retryMost.Seconds()) * float64(time.Second))
}

// book finds the time after which x, which is refused, shall come back, and notes it.
func (g *Gate) book(t instant, x *entry, after time.Duration) time.Duration {
	q, c, r := x.queue, x.queue.class, &g.returns
	d := max(after, retryLeast)
	if rate := g.rate(); rate > 0 {
		mine := rate * g.left(c, rate, false) * bookPart
		d = max(d, c.book.ahead(t, mine/r.come))
		if fair := c.shares.rate * q.weight * bookPart; fair > 0 && fair < mine {
			mine = fair
		}
		d = max(d, max(q.paid-t, 0)+q.book.ahead(t, mine/r.come))
		if d < retryMost {
			c.book.work += float64(x.work)
			q.book.work += float64(x.work)
		}
	}
	r.jitter++
	u := unit(r.seed, r.jitter)
	if d = scale(d, 1+retrySpread*u) + time.Duration(u*float64(retryLeast)/2); d > retryMost {
		d = retryMost - time.Duration(u*float64(retryMost)/4)
	}
	r.note(t+d, x)
	return d
}

// note books x at a moment.
func (r *returns) note(due instant, x *entry) {
	if len(r.booked) >= bookedMost {
		return
	}
	s := int64(due / time.Second)
	key := mixed(x.print(), uint64(s))
	i := s % window
	if r.booked[key]++; r.booked[key] == 1 {
		r.keys[i] = append(r.keys[i], key)
	}
	r.work[i][x.queue.class.rank] += float64(x.work)
}

// take reports whether x comes when it was told to, and strikes it from the book.
func (r *returns) take(t instant, x *entry) bool {
	if len(r.booked) == 0 {
		return false
	}
	print, now := x.print(), int64(t/time.Second)
	for s := max(now-grace, 0); s <= now; s++ {
		key := mixed(print, uint64(s))
		n := r.booked[key]
		if n == 0 {
			continue
		}
		if n == 1 {
			delete(r.booked, key)
		} else {
			r.booked[key] = n - 1
		}
		w := &r.work[s%window][x.queue.class.rank]
		*w = max(*w-float64(x.work), 0)
		r.come += comeStep * (1 - r.come)
		return true
	}
	return false
}

// turn strikes those who did not come in their time.
func (r *returns) turn(t instant) {
	now := int64(t / time.Second)
	for s := max(r.second, now-window) + 1; s <= now; s++ {
		i := (s - grace - 1 + window) % window
		for _, key := range r.keys[i] {
			for range r.booked[key] {
				r.come = max(r.come-comeStep*r.come, comeLeast)
			}
			delete(r.booked, key)
		}
		r.keys[i] = r.keys[i][:0]
		r.work[i] = [llm.ClassCount]float64{}
	}
	r.second = max(r.second, now)
}

// expected is the work of this class and higher ones that is told to come until a moment and is likely to.
func (r *returns) expected(t instant, rank int, until instant) float64 {
	if len(r.booked) == 0 {
		return 0
	}
	sum := 0.0
	from, to := int64(t/time.Second)-1, int64(until/time.Second)
	for s := max(from, 0); s <= min(to, from+window-grace-2); s++ {
		for i, w := range r.work[s%window] {
			if i <= rank {
				sum += w
			}
		}
	}
	return r.come * sum
}

// print tells a request from others.
func (x *entry) print() uint64 {
	if x.Print != 0 {
		return mixed(x.Print, uint64(x.Class.Rank()))
	}
	h := uint64(14695981039346656037)
	for i := range len(x.Tenant) {
		h = (h ^ uint64(x.Tenant[i])) * 1099511628211
	}
	for _, v := range [...]uint64{uint64(x.Class.Rank()), uint64(x.Prompt), uint64(x.Output), uint64(x.Bytes)} {
		h = mixed(h, v)
	}
	return h
}

// mixed scatters two numbers over all 64 bits (the finaliser of splitmix64).
func mixed(a, b uint64) uint64 {
	z := a + (b+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is a number from 0 up to 1 that depends on nothing else.
func unit(seed, n uint64) float64 { return float64(mixed(seed, n)>>11) / math.Exp2(53) }
