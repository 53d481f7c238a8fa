package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/weir-ai/weir/flood"
)

// floodLive shows how a flood goes: on a terminal a few lines that are drawn over each second, elsewhere one line a second. It is called
// from one goroutine.
type floodLive struct {
	f        *os.File
	paint    paint
	terminal bool
	on       bool
	drawn    int // lines that stand there
}

func newFloodLive(f *os.File, on bool) *floodLive {
	return &floodLive{f: f, paint: paintFor(f), terminal: isTerminal(f), on: on}
}

// show draws a snapshot.
func (l *floodLive) show(s flood.Snapshot) {
	if !l.on {
		return
	}
	if !l.terminal {
		fmt.Fprintln(l.f, floodLine(s))
		return
	}
	lines := l.lines(s)
	var b strings.Builder
	l.rewind(&b)
	width := 80
	if w, _, err := term.GetSize(int(l.f.Fd())); err == nil && w > 20 {
		width = w
	}
	for _, line := range lines {
		b.WriteString(clipped(line, width) + "\n")
	}
	l.drawn = len(lines)
	fmt.Fprint(l.f, b.String())
}

// rewind goes back over what stands there and clears it.
func (l *floodLive) rewind(b *strings.Builder) {
	if l.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", l.drawn)
	}
}

// done takes the view away.
func (l *floodLive) done() {
	var b strings.Builder
	l.rewind(&b)
	l.drawn = 0
	fmt.Fprint(l.f, b.String())
}

func (l *floodLive) lines(s flood.Snapshot) []string {
	out := []string{floodBar(s), fmt.Sprintf("  %-11s %7s %8s %7s %7s %7s %7s  %-17s %s", "a second", "offered", "admitted", "good", "late", "refused", "failed", "TTFT p50 / p99", "TPOT p50 / p99")}
	row := func(name string, r flood.Row) string {
		return fmt.Sprintf("  %-11.11s %7s %8s %7s %7s %7s %7s  %-17s %s", name, perSecond(r.Offered), perSecond(r.Admitted), perSecond(r.Good), perSecond(r.Late), perSecond(r.Refused), perSecond(r.Failed),
			millis(r.TTFTP50)+" / "+millis(r.TTFTP99), millis(r.TPOTP50)+" / "+millis(r.TPOTP99))
	}
	out = append(out, row("all", s.Now))
	if len(s.Classes) > 1 {
		for _, c := range s.Classes {
			out = append(out, row(c.Name, c.Row))
		}
	}
	total := fmt.Sprintf("  in all: %d offered, %d good, %d late, %d refused, %d failed; %d open; sent after %s",
		s.Offered, s.Good, s.Late, s.Refused, s.Failed, s.Open, millis(float64(s.Lag.Microseconds())/1000))
	return append(out, total)
}

// floodBar tells how far it is.
func floodBar(s flood.Snapshot) string {
	const width = 30
	at := min(s.At, s.For)
	full := int(width * at / max(s.For, 1))
	what := "flood"
	switch {
	case s.At < s.Warmup:
		what = "warm-up"
	case s.At > s.For:
		what = "waiting for the last answers"
	}
	return fmt.Sprintf("  %s%s  %s of %s  %s", strings.Repeat("█", full), strings.Repeat("░", width-full), at.Round(time.Second), s.For, what)
}

// floodLine is a second in one line, for logs.
func floodLine(s flood.Snapshot) string {
	r := s.Now
	return fmt.Sprintf("%4.0f s  offered %s/s  admitted %s/s  good %s/s  late %s/s  refused %s/s  failed %s/s  TTFT p99 %s  open %d",
		s.At.Seconds(), perSecond(r.Offered), perSecond(r.Admitted), perSecond(r.Good), perSecond(r.Late), perSecond(r.Refused), perSecond(r.Failed), millis(r.TTFTP99), s.Open)
}

// millis writes milliseconds in the unit that is read best; 0 is none.
func millis(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 1000:
		return short(v/1000) + " s"
	}
	return short(v) + " ms"
}

// perSecond writes a rate; most of them are 0 for most of the time.
func perSecond(v float64) string {
	if v == 0 {
		return "0"
	}
	return short(v)
}

// clipped cuts a line that would wrap: a wrapped one would be counted as one and left behind.
func clipped(line string, width int) string {
	runes := []rune(line)
	return string(runes[:min(len(runes), width-1)])
}
