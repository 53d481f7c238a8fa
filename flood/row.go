package flood

import "time"

// Row is one tick of a series. Counts are a second, times in milliseconds; a time of 0 is none.
type Row struct {
	Offered  float64 `json:"offered"`
	Admitted float64 `json:"admitted"`
	Good     float64 `json:"good"`
	Late     float64 `json:"late"`
	Refused  float64 `json:"refused"`
	Failed   float64 `json:"failed"`
	Output   float64 `json:"output_tokens"`
	TTFTP50  float64 `json:"ttft_p50_ms"`
	TTFTP99  float64 `json:"ttft_p99_ms"`
	TPOTP50  float64 `json:"tpot_p50_ms"`
	TPOTP99  float64 `json:"tpot_p99_ms"`
}

// Snapshot is how a flood stands, for who looks on.
type Snapshot struct {
	At      time.Duration // since the beginning, warm-up and all
	For     time.Duration // of the schedule
	Warmup  time.Duration
	Now     Row // of the last tick
	Open    int64
	Offered int64 // counted so far
	Good    int64
	Late    int64
	Refused int64
	Failed  int64
	Lag     time.Duration // at p99, of the last tick
	Classes []ClassNow
}

// ClassNow is a class in the last tick.
type ClassNow struct {
	Name string
	Row
}

// rowsEnd bounds a series that goes on after the schedule: nobody draws a longer drain.
const rowsEnd = 2 * rowsMax

// roll closes the ticks that are over. Every event calls it first, so that a row holds what happened in its time, whenever the ticker
// came.
func (r *recorder) roll(now time.Time) {
	if !r.begun {
		if now.Before(r.flushed) {
			return
		}
		r.begun = true
		r.forget()
	}
	for !now.Before(r.flushed.Add(r.every)) && len(r.all.rows) < rowsEnd {
		r.flushed = r.flushed.Add(r.every)
		r.close()
	}
}

// forget drops what the tick so far holds: the warm-up's.
func (r *recorder) forget() {
	r.close()
	r.all.rows, r.openRows = nil, nil
	for _, c := range append(r.order, r.classRow...) {
		w := &c.serve
		c.rows, w.rows, w.backlogged, w.missedPrompts, w.missedOutputs = nil, nil, nil, nil, nil
	}
	for _, e := range append(r.refusals.order, r.failures.order...) {
		e.rows = nil
	}
}

// flush gives a picture of the last tick.
func (r *recorder) flush(now time.Time) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	s := Snapshot{At: now.Sub(r.start), For: r.o.For, Warmup: r.o.Warmup, Open: r.open, Offered: r.all.offered + r.all.returns, Good: r.all.outcomes[good],
		Late: r.all.outcomes[late], Refused: r.all.outcomes[refused], Failed: r.all.outcomes[failed], Lag: r.lagRow.quantile(0.99)}
	r.lagRow.reset()
	if n := len(r.all.rows); n > 0 {
		s.Now = r.all.rows[n-1]
		for _, c := range r.classRow {
			if len(c.rows) == n {
				s.Classes = append(s.Classes, ClassNow{c.name, c.rows[n-1]})
			}
		}
	}
	return s
}

// close appends a row to every series.
func (r *recorder) close() {
	seconds := r.every.Seconds()
	n := len(r.all.rows)
	r.all.close(n, seconds)
	for _, c := range r.classRow {
		c.close(n, seconds)
	}
	for i, c := range r.order {
		if i < tenantRowsMax {
			c.close(n, seconds)
			c.serve.close(n, seconds)
		}
	}
	for _, rs := range []*reasons{r.refusals, r.failures} {
		for _, e := range rs.order {
			e.rows = append(padded(e.rows, n), float64(e.row)/seconds)
			e.row = 0
		}
	}
	r.openRows = append(r.openRows, float64(r.open))
}

// padded fills a series that began late.
func padded[T any](rows []T, n int) []T {
	for len(rows) < n {
		var none T
		rows = append(rows, none)
	}
	return rows
}

// close turns the counts of a tick into row n.
func (c *account) close(n int, seconds float64) {
	w := &c.row
	per := func(v int64) float64 { return float64(v) / seconds }
	c.rows = append(padded(c.rows, n), Row{
		Offered: per(w.offered), Admitted: per(w.admitted), Good: per(w.good), Late: per(w.late), Refused: per(w.refused), Failed: per(w.failed), Output: per(w.output),
		TTFTP50: ms(w.ttft.quantile(0.5)), TTFTP99: ms(w.ttft.quantile(0.99)), TPOTP50: ms(w.tpot.quantile(0.5)), TPOTP99: ms(w.tpot.quantile(0.99)),
	})
	w.ttft.reset()
	w.tpot.reset()
	ttft, tpot := w.ttft, w.tpot
	*w = row{ttft: ttft, tpot: tpot}
}

// close ends the tick of a tenant's service. A tenant was backlogged if one of its requests waited all through the tick, or one was
// refused for want of capacity.
func (w *service) close(n int, seconds float64) {
	heard := w.heard.Load()
	given := float64(w.prompt*promptWeight + (heard-w.seen)*outputWeight)
	w.seen, w.prompt = heard, 0
	w.rows = append(padded(w.rows, n), given/seconds)
	w.backlogged = append(padded(w.backlogged, n), w.pressed || w.waitingMin > 0)
	w.pressed, w.waitingMin = false, w.waiting
	w.missedPrompts = append(padded(w.missedPrompts, n), float64(w.missedPrompt))
	w.missedOutputs = append(padded(w.missedOutputs, n), float64(w.missedOutput))
	w.missedPrompt, w.missedOutput = 0, 0
}
