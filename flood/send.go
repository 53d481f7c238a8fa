package flood

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weir-ai/weir/workload"
)

// sender keeps the schedule.
type sender struct {
	o         *Options
	t         *target
	learned   calibration
	rec       *recorder
	open      atomic.Int64
	running   sync.WaitGroup
	cpuBefore time.Duration
	cpu       time.Duration // used until the schedule's end
	cut       bool          // ctx ended it early
}

func newSender(o *Options, t *target, c calibration) *sender {
	return &sender{o: o, t: t, learned: c}
}

// run sends all requests at their times and waits for what they come to.
func (s *sender) run(ctx context.Context) {
	start := time.Now()
	s.rec = newRecorder(s.o, start)
	s.cpuBefore = cpuUsed()
	quit := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { s.tick(quit) })
	n := uint64(0)
	for r := range s.o.Requests {
		due := start.Add(r.At)
		if r.At >= s.o.For || !sleepUntil(ctx, due) {
			break
		}
		n++
		id := n
		s.running.Go(func() { s.client(ctx, &r, id, due) })
	}
	sleepUntil(ctx, start.Add(s.o.For))
	s.cut = ctx.Err() != nil
	s.rec.over(time.Now())
	s.cpu = cpuUsed() - s.cpuBefore
	s.running.Wait()
	close(quit)
	ticking.Wait()
	s.rec.flush(time.Now())
}

// tick closes a row of the series each second and shows it.
func (s *sender) tick(quit <-chan struct{}) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-quit:
			return
		case now := <-every.C:
			snap := s.rec.flush(now)
			if s.o.Tick != nil {
				s.o.Tick(snap)
			}
		}
	}
}

// sleepUntil waits for a time; false where ctx ended before.
func sleepUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// client is one client of the workload: one request, and where it obeys, its returns.
func (s *sender) client(ctx context.Context, r *workload.Request, n uint64, due time.Time) {
	counted := r.At >= s.o.Warmup
	obeys := float64(mix(n^mix(s.o.Seed+1))>>11)/(1<<53) < s.o.Obey
	last := s.rec.start.Add(s.o.For + s.o.Timeout)
	for k := 0; ; k++ {
		a := &attempt{r: r, n: n, due: due, returns: k, obeys: obeys, counted: counted, objective: s.o.objective(r.Class)}
		s.rec.begin(a, time.Now())
		s.try(ctx, a)
		again := due
		if a.outcome == refused && obeys && k < s.o.Returns && a.head.retryAfter > 0 {
			if again = time.Now().Add(a.head.retryAfter); again.Before(last) {
				a.comesBack = true
			}
		}
		s.rec.end(a, time.Now())
		if !a.comesBack {
			return
		}
		if due = again; !sleepUntil(ctx, due) {
			return
		}
	}
}

// outcome is how a try ended.
type outcome int

const (
	unfinished outcome = iota // the run ended before it did
	good                      // a whole answer within the objective
	late                      // a whole answer, too late or too slow
	refused                   // 429, 503, 529, or another status with a reason: the server would not
	failed                    // another status, a cut stream, a timeout, or nothing that was sent

	outcomeCount = int(failed) + 1
)

// attempt is one try of one request.
type attempt struct {
	r         *workload.Request
	n         uint64
	due       time.Time
	returns   int // tries before this one
	obeys     bool
	objective Objective
	comesBack bool

	class, tenant *account
	counted       bool // its first try is due after the warm-up
	waiting       bool // no content yet
	outcome       outcome
	label         string // of a refusal or failure
	head          head
	answer        answer
}

// try sends a request and reads what comes.
func (s *sender) try(ctx context.Context, a *attempt) {
	defer s.open.Add(-1)
	if s.open.Add(1) > int64(s.o.OpenMax) {
		a.outcome, a.label = failed, "unsent: too many open"
		return
	}
	var err error
	for fresh := false; ; fresh = true {
		var stale bool
		if stale, err = s.once(ctx, a, fresh); !stale {
			break
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		a.outcome = unfinished
	case timedOut(err):
		a.outcome, a.label = failed, "timeout"
	case a.head.status == 200:
		a.outcome, a.label = failed, "cut stream"
	default:
		a.outcome, a.label = failed, failureOf(err)
	}
}

// timedOut reports whether the request's own time was over, while it was dialled, sent or answered.
func timedOut(err error) bool {
	e := net.Error(nil)
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}

// failureOf names what kept a request from an answer, without the ports that would make each one different.
func failureOf(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return "unsent: connection refused"
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return "unsent: no local port left"
		case errors.Is(err, syscall.EMFILE):
			return "unsent: too many open files"
		}
		return "unsent: no connection"
	}
	if errors.Is(err, errHead) {
		return "no HTTP"
	}
	return "connection lost"
}

var requestBuffers = sync.Pool{New: func() any { return new([]byte) }}

// once sends a request on one connection. stale says that the connection had been closed while it waited: nothing of an answer came,
// and another connection may be tried.
func (s *sender) once(ctx context.Context, a *attempt, fresh bool) (stale bool, err error) {
	deadline := a.due.Add(s.o.Timeout)
	c, err := s.t.pool.get(ctx, fresh, deadline)
	if err != nil {
		return false, err
	}
	whole := false
	defer func() {
		if whole {
			s.t.pool.put(c)
		} else {
			_ = c.Close()
		}
	}()
	_ = c.SetDeadline(deadline)
	unhook := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer func() { whole = unhook() && whole }()
	if err = s.write(c, a); err == nil {
		a.head, err = c.readHead()
	}
	if err != nil {
		closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		return closed && c.used && !fresh && ctx.Err() == nil, err
	}
	b := c.body(a.head)
	if a.head.status != 200 {
		whole = s.refusal(a, b)
		return false, nil
	}
	err = s.read(a, b)
	whole = err == nil && b.done && !a.head.close
	return false, err
}

func (s *sender) write(c *conn, a *attempt) error {
	buffer := requestBuffers.Get().(*[]byte)
	defer requestBuffers.Put(buffer)
	text := s.o.body((*buffer)[:0], s.t.model, a.r, s.learned.prompter, a.n, true)
	key, ok := s.o.Keys[a.r.Tenant]
	if !ok {
		key = s.o.Keys[""]
	}
	// The head follows the body in the buffer, because its length is known last; two pieces go out in one system call.
	all := s.t.appendHead(text, "POST "+s.t.path, key, a.r, len(text))
	*buffer = all
	parts := net.Buffers{all[len(text):], all[:len(text)]}
	if _, ok := c.Conn.(*net.TCPConn); ok {
		_, err := parts.WriteTo(c.Conn)
		return err
	}
	for _, p := range parts {
		if _, err := c.Conn.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// refusalBody bounds what is read of an answer that is no answer.
const refusalBody = 64 << 10

// refusal reads an answer of another status than 200; it reports whether the connection can go on.
func (s *sender) refusal(a *attempt, b *body) (whole bool) {
	text, err := io.ReadAll(io.LimitReader(b, refusalBody))
	reason := a.head.reason
	if reason == "" {
		reason = reasonOf(text)
	}
	if len(reason) > reasonMax {
		reason = reason[:reasonMax]
	}
	a.label = fmt.Sprint(a.head.status)
	if reason != "" {
		a.label += " " + reason
	}
	switch a.outcome = failed; a.head.status {
	case 429, 503, 529:
		a.outcome = refused
	default:
		if a.head.reason != "" {
			a.outcome = refused
		}
	}
	return err == nil && b.done && !a.head.close
}

// read reads an answer of status 200 and judges it.
func (s *sender) read(a *attempt, b *body) (err error) {
	s.rec.admitted(a, time.Now())
	if a.head.stream {
		a.answer, err = readStream(b, func(now *answer) { s.rec.heard(a, now) })
	} else {
		err = s.readWhole(a, b)
	}
	switch {
	case err != nil:
		return err
	case a.answer.failure != "":
		a.outcome, a.label = failed, "failed stream "+a.answer.failure
	case !a.answer.ended:
		return io.ErrUnexpectedEOF
	case a.inTime():
		a.outcome = good
	default:
		a.outcome = late
	}
	return nil
}

// readWhole takes an answer in one piece, from servers that do not stream: its first token is its end.
func (s *sender) readWhole(a *attempt, b *body) error {
	text, err := io.ReadAll(io.LimitReader(b, answerMax))
	if err != nil {
		return err
	}
	now := time.Now()
	a.answer = answer{first: now, last: now, pieces: 1, ended: true}
	a.answer.completion = digits(valueOf(text, `"completion_tokens"`), 0)
	a.answer.prompt = digits(valueOf(text, `"prompt_tokens"`), 0)
	s.rec.heard(a, &a.answer)
	return nil
}

// tokens of the answer: what the server says, or the pieces that came.
func (a *attempt) tokens() int { return max(a.answer.completion, a.answer.pieces) }

// ttft counts from the schedule.
func (a *attempt) ttft() time.Duration { return a.answer.first.Sub(a.due) }

// tpot is the mean time of the tokens after the first; 0 where there are none.
func (a *attempt) tpot() time.Duration {
	if n := a.tokens(); n > 1 {
		return a.answer.last.Sub(a.answer.first) / time.Duration(n-1)
	}
	return 0
}

// inTime reports whether the answer met its objective. An answer without a token meets it if its end does.
func (a *attempt) inTime() bool {
	o := a.objective
	first := a.ttft()
	if a.answer.pieces == 0 {
		first = time.Since(a.due)
	}
	return (o.TTFT == 0 || first <= o.TTFT) && (o.TPOT == 0 || a.tpot() <= o.TPOT)
}

// cores is how many processors this process may use.
func cores() int { return runtime.GOMAXPROCS(0) }
