package admit

import "time"

// doubt is what is held against an endpoint that has failed a request until it shows that it works: one that died has room for all that it
// held, and what waits would be sent into it at once, and fail at once, before any breaker has counted to three. While it is doubted it is
// sent one request at a time, later after each that fails. A first token or an end without fault, of whichever request, ends the doubt; an
// engine that fails one request in a hundred is doubted for as long as its next first token takes.
type doubt struct {
	held   bool
	trying bool    // one is there that was sent since
	fails  int     // since the doubt began
	next   instant // when the next may be sent
}

const (
	// doubtLeast and doubtMost bound the pause after a failure: longer than it takes the others that died with it to come back, and no longer
	// than a restarted engine should wait for work.
	doubtLeast = 50 * time.Millisecond
	doubtMost  = time.Second
)

// failed begins the doubt or goes on with it.
func (d *doubt) failed(t instant) {
	d.held, d.trying = true, false
	d.next = t + min(doubtLeast<<min(d.fails, 8), doubtMost)
	d.fails++
}

// allows reports whether a request may be sent.
func (d *doubt) allows(t instant) bool { return !d.held || !d.trying && t >= d.next }

// Failed notes that the endpoint where a request is did something wrong. The request stays where it is until Move, Withdraw or Done.
func (g *Gate) Failed(now time.Time, ticket Ticket) {
	t := g.at(now)
	if x := g.entries[ticket]; x != nil && x.station != nil {
		x.station.doubt.failed(t)
	}
}
