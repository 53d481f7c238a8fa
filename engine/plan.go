package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-ai/weir/engine/kv"
)

// schedule decides what each step computes. It is a plain state machine: no clock, goroutine, lock or chance, the time comes
// in, and the same calls make the same decisions. The shell (step.go) tells it of arrivals, ends and full buffers, calls
// plan, computes what plan says, and reports with advance.
//
// The rules, in this order:
//
//   - Sequences that need one token to go on (they decode) come first, the oldest first; then those that have more behind
//     (prompts, or all of it after a preemption), the oldest first, in chunks of what is left of the budget; then waiting
//     ones are seated in order of arrival, while places and blocks last.
//   - A sequence whose reader lags is passed over; after maxPaused it is cut.
//   - A sequence without a free block takes one from a paused sequence, else from the youngest that is younger than itself:
//     that one loses all its blocks and waits again at its old place. So the oldest can always go on, and everything ends.
//   - A waiting sequence is seated when the blocks of all it has to compute are free beyond what those seated have yet to
//     take, and one more for each of these: what starts should not have to be preempted at once.
//   - Before a block is computed it is looked up; and where an older sequence is about to compute the very same block, the
//     younger one waits for it. The older one never waits for the younger, so there is no circle, and the question is asked
//     anew in each step, so it does not matter when the older one goes away.
type schedule struct {
	bounds
	pool    *kv.Pool
	waiting []*Sequence // by serial
	running []*Sequence // by serial
	reused  uint64      // tokens that were found computed

	next  plan        // of the last call, reused
	order []*Sequence // running, while plan changes it
}

// bounds are the limits that a schedule keeps.
type bounds struct {
	sequences  int           // running at most
	stepTokens int           // computed in a step at most
	minPrefill int           // of them beside the decoding ones, at least
	maxPaused  time.Duration //
	rows       int           // of a prompt in a step whose logits are all needed, at most
	share      bool          // prefixes
}

// plan is what to do now.
type plan struct {
	picks     []pick      // what the model computes, no sequence twice
	seated    []*Sequence // for the first time
	preempted int
	cut       []*Sequence // taken out already; they are to be told
	wake      time.Time   // when a paused sequence will have to be cut; zero for never
	full      bool        // there was more to compute than the budget

	used, limit int // tokens
}

// pick is the next n tokens of a sequence.
type pick struct {
	seq *Sequence
	n   int
}

func (p *plan) reset() {
	clear(p.picks) // or ended sequences would stay in memory until others take their place
	*p = plan{picks: p.picks[:0], seated: p.seated[:0], cut: p.cut[:0]}
}

func (p *plan) add(s *Sequence, n int) {
	p.picks = append(p.picks, pick{s, n})
	p.used += n
}

func (p *plan) left() int { return p.limit - p.used }

// arrive queues s, which is younger than all that came before.
func (q *schedule) arrive(s *Sequence) {
	s.stage = waiting
	q.waiting = append(q.waiting, s)
}

// remove takes s out, wherever it stands, and frees its blocks.
func (q *schedule) remove(s *Sequence) {
	switch s.stage {
	case waiting:
		q.waiting = without(q.waiting, s)
	case running:
		q.running = without(q.running, s)
	}
	q.pool.Release(s.blocks)
	s.blocks = nil
	s.stage = ended
}

// plan decides the next step, whose tokens should be about budget.
func (q *schedule) plan(now time.Time, budget int) *plan {
	p := &q.next
	p.reset()
	q.cutPaused(now, p)

	clear(q.order)
	q.order = append(q.order[:0], q.running...)
	p.limit = q.stepTokens
	for _, s := range q.order {
		// An earlier turn of this loop may have preempted s, so its stage is asked again.
		if s.stage == running && !s.full && s.behind() == 1 && p.left() > 0 && q.room(s, len(s.tokens), p) {
			p.add(s, 1)
		}
	}
	p.limit = min(q.stepTokens, max(budget, p.used+q.minPrefill))
	for _, s := range q.order {
		if s.stage == running && !s.full && s.behind() > 1 {
			q.catchUp(s, p)
		}
	}
	q.seat(now, p)
	return p
}

// cutPaused keeps the time of paused sequences and takes those out that were paused too long.
func (q *schedule) cutPaused(now time.Time, p *plan) {
	for _, list := range [][]*Sequence{q.running, q.waiting} {
		for _, s := range list {
			switch {
			case !s.full:
				s.pausedSince = time.Time{}
				continue
			case s.pausedSince.IsZero():
				s.pausedSince = now
			}
			end := s.pausedSince.Add(q.maxPaused)
			if !now.Before(end) {
				p.cut = append(p.cut, s)
			} else if p.wake.IsZero() || end.Before(p.wake) {
				p.wake = end
			}
		}
	}
	for _, s := range p.cut {
		q.remove(s)
	}
}

// catchUp gives s a chunk of what it has behind, after taking what others have computed of it.
func (q *schedule) catchUp(s *Sequence, p *plan) {
	q.takeShared(s)
	if q.beingComputed(s) {
		return
	}
	n := min(s.behind(), p.left())
	if s.reading() {
		n = min(n, q.rows)
	}
	if n < s.behind() {
		p.full = true
	}
	if n > 0 && !q.room(s, s.computed+n, p) {
		n = min(n, len(s.blocks)*q.pool.Size()-s.computed) // what its blocks hold as they are
	}
	if n > 0 {
		p.add(s, n)
	}
}

// seat moves waiting sequences to the running ones, in order, while budget, places and blocks last. One whose reader lags is
// passed over: it could do nothing with a place.
func (q *schedule) seat(now time.Time, p *plan) {
	for i := 0; i < len(q.waiting); {
		s := q.waiting[i]
		if s.full {
			i++
			continue
		}
		if p.left() <= 0 {
			p.full = true
			return
		}
		if len(q.running) >= q.sequences || !q.fits(s) {
			return
		}
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.running = insert(q.running, s)
		s.stage = running
		if !s.again {
			s.queued.Store(int64(now.Sub(s.submitted)))
			p.seated = append(p.seated, s)
		}
		q.catchUp(s, p)
	}
}

// room makes sure that the blocks of s hold its first n tokens, by preempting others where it must and may.
func (q *schedule) room(s *Sequence, n int, p *plan) bool {
	for len(s.blocks)*q.pool.Size() < n {
		id, ok := q.pool.Take()
		if ok {
			s.blocks = append(s.blocks, id)
			continue
		}
		v := q.victim(s)
		if v == nil {
			return false
		}
		q.preempt(v, p)
	}
	return true
}

// victim is the sequence that loses its blocks to s: one that is paused, else one younger than s; in both the youngest. Nil
// where there is none.
func (q *schedule) victim(s *Sequence) *Sequence {
	for _, v := range slices.Backward(q.running) {
		if v.full && v != s && len(v.blocks) > 0 {
			return v
		}
	}
	for _, v := range slices.Backward(q.running) {
		if v.serial <= s.serial {
			return nil
		}
		if len(v.blocks) > 0 {
			return v
		}
	}
	return nil
}

// preempt takes a running sequence's blocks, and what this plan had for it. Its full blocks stay findable, so it computes
// again only what is overwritten meanwhile.
func (q *schedule) preempt(s *Sequence, p *plan) {
	if i := slices.IndexFunc(p.picks, func(k pick) bool { return k.seq == s }); i >= 0 {
		p.used -= p.picks[i].n
		p.picks = slices.Delete(p.picks, i, i+1)
	}
	q.pool.Release(s.blocks)
	s.blocks, s.computed, s.stage, s.again = s.blocks[:0], 0, waiting, true
	q.running = without(q.running, s)
	q.waiting = insert(q.waiting, s)
	p.preempted++
}

// sharable is how many full blocks of s may come from others: not the one with its last token, which has to be computed for
// its logits.
func (q *schedule) sharable(s *Sequence) int {
	if !q.share || s.reading() {
		return 0
	}
	return (len(s.tokens) - 1) / q.pool.Size()
}

// takeShared appends to the blocks of s those that follow and are computed already.
func (q *schedule) takeShared(s *Sequence) {
	size := q.pool.Size()
	if s.computed != len(s.blocks)*size {
		return // it is in the middle of a block
	}
	for k := len(s.blocks); k < q.sharable(s); k++ {
		id, ok := q.pool.Share(s.hash(k, size), s.tokens[k*size:(k+1)*size])
		if !ok {
			return
		}
		s.blocks = append(s.blocks, id)
		s.computed += size
		q.reused += uint64(size)
		if !s.again {
			s.cached.Add(int64(size))
		}
	}
}

// beingComputed reports whether an older running sequence is going to compute the block that s needs next.
func (q *schedule) beingComputed(s *Sequence) bool {
	k := len(s.blocks)
	if s.computed != k*q.pool.Size() || k >= q.sharable(s) {
		return false
	}
	h := s.hash(k, q.pool.Size())
	for _, o := range q.running {
		if o.serial >= s.serial {
			return false
		}
		if q.willCompute(o, k) && o.hash(k, q.pool.Size()) == h {
			return true
		}
	}
	return false
}

// willCompute reports whether o has all tokens of block k and has not computed them to their end.
func (q *schedule) willCompute(o *Sequence, k int) bool {
	end := (k + 1) * q.pool.Size()
	return !o.full && o.computed < end && end <= len(o.tokens)
}

// fits reports whether s may be seated as far as blocks go, and notes how many of them it expects to share.
func (q *schedule) fits(s *Sequence) bool {
	size := q.pool.Size()
	s.expected = q.shareExpected(s)
	need := (len(s.tokens)+size)/size - s.expected // with its next token
	for _, o := range q.running {
		need += 1 + max(0, (len(o.tokens)+size-1)/size-max(len(o.blocks), o.expected))
	}
	return len(q.running) == 0 || q.pool.Free() >= need
}

// shareExpected counts the blocks at the beginning of s that running sequences hold or are about to compute.
func (q *schedule) shareExpected(s *Sequence) int {
	size := q.pool.Size()
	for k := range q.sharable(s) {
		h := s.hash(k, size)
		held, _ := q.pool.Held(h, s.tokens[k*size:(k+1)*size])
		if !held && !slices.ContainsFunc(q.running, func(o *Sequence) bool {
			return o.serial < s.serial && q.willCompute(o, k) && o.hash(k, size) == h
		}) {
			return k
		}
	}
	return q.sharable(s)
}

// advance records that the next n tokens of s are computed, and seals the blocks that this filled.
func (q *schedule) advance(s *Sequence, n int) {
	size := q.pool.Size()
	first := s.computed / size
	s.computed += n
	if !q.share {
		return
	}
	for k := first; k < s.computed/size; k++ {
		q.pool.Seal(s.blocks[k], s.hash(k, size), s.tokens[k*size:(k+1)*size])
	}
}

// insert puts s into list, which is ordered by serial.
func insert(list []*Sequence, s *Sequence) []*Sequence {
	i, _ := slices.BinarySearchFunc(list, s.serial, func(o *Sequence, serial uint64) int { return cmp.Compare(o.serial, serial) })
	return slices.Insert(list, i, s)
}

// without takes s out of list.
func without(list []*Sequence, s *Sequence) []*Sequence {
	i := slices.Index(list, s)
	return slices.Delete(list, i, i+1)
}
