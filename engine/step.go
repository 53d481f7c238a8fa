package engine

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// promptRows is how many prompt tokens of one sequence a step computes when the logits of all are wanted. Each row is a whole
// vocabulary: 32 rows of 150,000 are 19 MB, as much as a full batch of decoding sequences has; the 512 of a whole chunk would
// be 300 MB. Fewer would read the weights more often.
const promptRows = 32

// shell is the memory of the step loop that is used again in each step.
type shell struct {
	chunks  []chunk
	choices []choice
	choose  func(i int)                                  // choice i; made once, so that a step does not allocate it
	wakes   time.Time                                    // what plan said last
	capture func(s *Sequence, pos int, logits []float32) // for tests: the logits (vocab) after the token at pos

	spare struct { // scratch that no choice is using
		sync.Mutex
		list []*scratch
	}
}

// choice is a token to be chosen, and then the token.
type choice struct {
	seq    *Sequence
	logits []float32 // (vocab)
	out    Output
	err    error
}

func (sh *shell) init(e *Engine) {
	sh.choose = func(i int) {
		sc := sh.borrow(e.sizes.vocab)
		sh.choices[i].make(sc)
		sh.giveBack(sc)
	}
}

func (sh *shell) borrow(vocab int) *scratch {
	sh.spare.Lock()
	defer sh.spare.Unlock()
	if n := len(sh.spare.list); n > 0 {
		sc := sh.spare.list[n-1]
		sh.spare.list = sh.spare.list[:n-1]
		return sc
	}
	return &scratch{ids: make([]int32, 0, vocab), weights: make([]float64, 0, vocab)}
}

func (sh *shell) giveBack(sc *scratch) {
	sh.spare.Lock()
	sh.spare.list = append(sh.spare.list, sc)
	sh.spare.Unlock()
}

// wakeAt is when a step has to be made even if nothing happens until then; zero for never.
func (e *Engine) wakeAt() time.Time {
	e.stepping.Lock()
	defer e.stepping.Unlock()
	return e.wakes
}

// Step takes in what happened since the last step, computes one batch and hands out its tokens. It reports whether there was
// anything to compute; an error says that the batch failed, which has ended its sequences and nothing else. Run calls it;
// tests call it themselves.
func (e *Engine) Step() (bool, error) {
	e.stepping.Lock()
	defer e.stepping.Unlock()
	now := time.Now()
	if err := e.takeIn(); err != nil {
		return false, err
	}
	p := e.schedule.plan(now, e.pace.budget(e.cfg.TargetStep, e.cfg.StepTokens))
	e.wakes = p.wake
	e.tell(now, p)
	if len(p.picks) == 0 {
		e.publish(p, 0)
		return false, nil
	}
	err := e.compute(p)
	tokens := 0
	for _, k := range p.picks {
		tokens += k.n
	}
	took := time.Since(now)
	if err == nil {
		e.pace.observe(tokens, took, p.full)
	}
	e.publish(p, tokens)
	if f := e.cfg.Listener.Step; f != nil {
		f(StepEvent{Duration: took, Tokens: tokens, Sequences: len(p.picks), Err: err})
	}
	return true, err
}

// takeIn moves new sequences into the schedule, takes cancelled ones out, and notes which readers lag.
func (e *Engine) takeIn() error {
	e.mu.Lock()
	if e.mu.closed != nil {
		e.mu.Unlock()
		return e.mu.closed
	}
	for i, s := range e.mu.inbox {
		e.schedule.arrive(s)
		e.mu.inbox[i] = nil
	}
	e.mu.inbox = e.mu.inbox[:0]
	e.mu.queued = len(e.schedule.waiting)
	e.mu.Unlock()

	for _, list := range [][]*Sequence{e.schedule.running, e.schedule.waiting} {
		for i := len(list) - 1; i >= 0; i-- { // backwards: end takes list[i] out
			s := list[i]
			s.full = len(s.out) == cap(s.out)
			if s.cancelled.Load() {
				e.end(s, None, ErrCancelled)
			}
		}
	}
	return nil
}

// tell reports what a plan decided without computing.
func (e *Engine) tell(now time.Time, p *plan) {
	e.drain.observe(now, len(p.seated), len(e.schedule.waiting) > 0 || len(p.seated) > 0)
	for _, s := range p.seated {
		if f := e.cfg.Listener.Seated; f != nil {
			f(SeatedEvent{Queued: time.Duration(s.queued.Load()), Prompt: s.promptLen})
		}
	}
	if f := e.cfg.Listener.Preempted; f != nil {
		for range p.preempted {
			f()
		}
	}
	for _, s := range p.cut {
		e.end(s, Cut, nil)
	}
	e.mu.Lock() // now and not after the step: those that were seated do not wait while it computes
	e.mu.queued = len(e.schedule.waiting)
	e.mu.stats.Running = len(e.schedule.running)
	e.mu.Unlock()
}

// publish makes the engine's state visible outside the step loop.
func (e *Engine) publish(p *plan, tokens int) {
	c := e.schedule.pool.Counts()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.queued = len(e.schedule.waiting)
	e.mu.retry = e.drain.retryAfter(e.mu.queued)
	st := &e.mu.stats
	st.Running = len(e.schedule.running)
	st.BlocksUsed, st.BlocksTotal, st.BlocksCached, st.BlockRefs = c.Used, c.Total, c.Cached, c.Refs
	if tokens > 0 {
		st.Steps++
	}
	st.Preempted += uint64(p.preempted)
	st.TokensComputed += uint64(tokens)
	st.TokensReused = e.schedule.reused
}

// compute runs the picked tokens through the model, chooses the next token of each sequence that has caught up, and hands them
// out.
func (e *Engine) compute(p *plan) error {
	e.chunks = e.chunks[:0]
	rows := 0
	for _, k := range p.picks {
		s := k.seq
		c := chunk{Tokens: s.tokens[s.computed : s.computed+k.n], Start: s.computed, Blocks: s.blocks}
		switch {
		case s.reading():
			c.Want = allLogits
			rows += k.n
		case k.n == s.behind():
			c.Want = lastLogits
			rows++
		default:
			c.Want = noLogits
		}
		e.chunks = append(e.chunks, c)
	}
	logits, err := e.forward()
	if err == nil && len(logits) != rows*e.sizes.vocab {
		err = fmt.Errorf("engine: the model returned %d logits for %d rows of %d", len(logits), rows, e.sizes.vocab)
	}
	if err != nil {
		// What this step wrote lies in blocks that are not sealed, so nobody will read it.
		for _, k := range p.picks {
			e.end(k.seq, None, err)
		}
		return err
	}
	e.choices = e.choices[:0]
	for i, k := range p.picks {
		row := 0
		switch e.chunks[i].Want {
		case allLogits:
			row = k.n
		case lastLogits:
			row = 1
		}
		own := logits[:row*e.sizes.vocab]
		logits = logits[row*e.sizes.vocab:]
		e.settle(k, own)
	}
	e.chooseAll()
	for i := range e.choices {
		e.deliver(&e.choices[i])
	}
	clear(e.choices)
	return nil
}

// forward calls the model. A panic in it ends the sequences of this step, not the process.
func (e *Engine) forward() (logits []float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: the model panicked: %v\n%s", r, debug.Stack())
		}
	}()
	logits, err = e.model.forward(e.chunks)
	if err != nil {
		err = fmt.Errorf("engine: the model failed: %w", err)
	}
	return logits, err
}

// settle books the computed tokens of a pick whose logits (0, 1 or k.n rows, vocab) are given, and prepares the choice of its
// next token where it has caught up.
func (e *Engine) settle(k pick, logits []float32) {
	s, start, vocab := k.seq, k.seq.computed, e.sizes.vocab
	read := s.reading()
	e.schedule.advance(s, k.n)
	rows := len(logits) / vocab
	for i := range rows {
		row := logits[i*vocab : (i+1)*vocab]
		pos := start + k.n - rows + i
		if e.capture != nil {
			e.capture(s, pos, row)
		}
		if read && pos+1 < s.promptLen && pos+1 == s.prompted { // others were read before a preemption
			if err := e.readPrompt(s, row); err != nil {
				e.end(s, None, err)
				return
			}
		}
	}
	if s.behind() == 0 {
		e.choices = append(e.choices, choice{seq: s, logits: logits[(rows-1)*vocab:]})
	}
}

// readPrompt notes the log-probability of the next token of the prompt.
func (e *Engine) readPrompt(s *Sequence, row []float32) error {
	sc := e.borrow(e.sizes.vocab)
	defer e.giveBack(sc)
	l, err := promptLogprob(row, s.tokens[s.prompted], s.promptLogprobs, sc)
	if err != nil {
		return err
	}
	s.prompt = append(s.prompt, l)
	if s.prompted++; !s.reading() {
		close(s.promptKnown)
	}
	return nil
}

// chooseAll makes all choices of a step, on several cores where Config.Parallel has them. They touch only their own
// sequences.
func (e *Engine) chooseAll() {
	if e.cfg.Parallel != nil && len(e.choices) > 1 {
		e.cfg.Parallel(len(e.choices), e.choose)
		return
	}
	for i := range e.choices {
		e.choose(i)
	}
}

// make chooses the token. A panic in it ends one sequence, not the process.
func (c *choice) make(sc *scratch) {
	defer func() {
		if r := recover(); r != nil {
			c.err = fmt.Errorf("engine: choosing a token panicked: %v\n%s", r, debug.Stack())
		}
	}()
	s := c.seq
	c.out.Token, c.err = s.sampler.next(c.logits, s.generated(), sc)
	if c.err != nil || s.logprobs < 0 {
		return
	}
	norm, err := logNormalizer(c.logits)
	if err != nil {
		c.err = err
		return
	}
	c.out.Logprob = float32(float64(c.logits[c.out.Token]) - norm)
	c.out.Rank = rank(c.logits, c.out.Token)
	c.out.Top = topLogprobs(c.logits, norm, s.logprobs, sc)
}

// deliver appends the chosen token to its sequence and hands it to the reader.
func (e *Engine) deliver(c *choice) {
	s := c.seq
	if c.err != nil {
		e.end(s, None, c.err)
		return
	}
	s.tokens = append(s.tokens, c.out.Token)
	s.sampler.chosen(c.out.Token)
	switch {
	case s.sampler.ended(c.out.Token):
		c.out.Finish = Stop
	case len(s.tokens) >= s.limit:
		c.out.Finish = Length
	}
	s.out <- c.out // never waits: a sequence with a full buffer is not computed, and nobody else sends
	if c.out.Finish != None {
		e.end(s, c.out.Finish, nil)
	}
}

// end takes s out, frees what it holds, and tells its reader and the listener.
func (e *Engine) end(s *Sequence, f Finish, err error) {
	if s.stage != ended { // plan has taken those out that it cut
		e.schedule.remove(s)
	}
	s.finish, s.err = f, err
	if s.reading() {
		close(s.promptKnown)
	}
	e.mu.Lock()
	e.mu.stats.Finished++
	switch {
	case f == Cut:
		e.mu.stats.Cut++
	case err != nil && err != ErrCancelled && err != ErrStopped:
		e.mu.stats.Failed++
	}
	e.mu.Unlock()
	if hear := e.cfg.Listener.Finished; hear != nil {
		hear(FinishedEvent{
			Finish:    f,
			Err:       err,
			Prompt:    s.promptLen,
			Cached:    int(s.cached.Load()),
			Generated: s.generated(),
			Lifetime:  time.Since(s.submitted),
		})
	}
	close(s.out)
}

// close ends everything that is left and refuses what comes.
func (e *Engine) close() {
	e.stepping.Lock()
	defer e.stepping.Unlock()
	e.mu.Lock()
	e.mu.closed = ErrStopped
	left := e.mu.inbox
	e.mu.inbox = nil
	e.mu.Unlock()
	for _, s := range left {
		e.schedule.arrive(s)
	}
	for _, list := range [][]*Sequence{e.schedule.running, e.schedule.waiting} {
		for i := len(list) - 1; i >= 0; i-- {
			e.end(list[i], None, ErrStopped)
		}
	}
	e.publish(&plan{}, 0)
}
