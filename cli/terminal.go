package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// isTerminal reports whether a person looks at f.
func isTerminal(f *os.File) bool {
	return f != nil && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// paint colours text for a terminal. Nothing is coloured in a file or a pipe, where NO_COLOR is set (no-color.org), or where the
// terminal says that it is dumb.
type paint bool

func paintFor(f *os.File) paint {
	return paint(isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && understandsColours(f))
}

func (p paint) code(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string  { return p.code("1", s) }
func (p paint) faint(s string) string { return p.code("2", s) }
func (p paint) blue(s string) string  { return p.code("34", s) }
func (p paint) green(s string) string { return p.code("32", s) }
func (p paint) red(s string) string   { return p.code("31", s) }

// printJSON writes v for scripts: indented, one value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

const (
	// progressDelay keeps work that is done within a second silent.
	progressDelay = time.Second
	// progressTick is fast enough to look alive and slow enough to cost nothing.
	progressTick = 100 * time.Millisecond
)

// progressBar shows on a terminal how far work is that lasts more than a second. In a file or a pipe it shows nothing. It owns one
// goroutine from startProgress to done; the other methods may be called from any.
type progressBar struct {
	at   atomic.Int64
	what atomic.Pointer[string]
	quit chan struct{}
	over sync.WaitGroup

	mu struct {
		sync.Mutex
		bar *progressbar.ProgressBar // nil while nothing is shown
	}
}

// startProgress begins to show work of total steps; total -1 is of unknown length.
func startProgress(f *os.File, total int, what string) *progressBar {
	p := &progressBar{quit: make(chan struct{})}
	p.what.Store(&what)
	if isTerminal(f) {
		p.over.Go(func() { p.show(f, total) })
	}
	return p
}

// step says how many steps are done.
func (p *progressBar) step(n int) { p.at.Store(int64(n)) }

// say changes the words beside the bar.
func (p *progressBar) say(what string) { p.what.Store(&what) }

// done takes the bar away. It must be called once, before anything else is printed but what goes through above.
func (p *progressBar) done() {
	close(p.quit)
	p.over.Wait()
}

// above gives a writer to w, the terminal of the bar, that takes the bar away for each Write, which must end its line. The bar comes
// back below it.
func (p *progressBar) above(w io.Writer) io.Writer { return aboveBar{p, w} }

type aboveBar struct {
	p *progressBar
	w io.Writer
}

func (a aboveBar) Write(b []byte) (int, error) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.p.mu.bar != nil {
		_ = a.p.mu.bar.Clear()
	}
	return a.w.Write(b)
}

func (p *progressBar) show(f *os.File, total int) {
	select {
	case <-p.quit:
		return
	case <-time.After(progressDelay):
	}
	options := []progressbar.Option{progressbar.OptionSetWriter(f), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24), progressbar.OptionSetElapsedTime(true)}
	if total < 0 {
		options = append(options, progressbar.OptionSpinnerType(14))
	} else {
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
	}
	p.place(progressbar.NewOptions(total, options...))
	defer p.place(nil)
	tick := time.NewTicker(progressTick)
	defer tick.Stop()
	for {
		p.draw(total)
		select {
		case <-p.quit:
			return
		case <-tick.C:
		}
	}
}

// place puts a bar where writers see it; nil takes it away.
func (p *progressBar) place(bar *progressbar.ProgressBar) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.bar != nil {
		_ = p.mu.bar.Clear()
	}
	p.mu.bar = bar
}

// draw shows the bar as it stands.
func (p *progressBar) draw(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.bar.Describe(*p.what.Load())
	// A bar that is full clears itself and would say so with nothing; done does that when it is true.
	if at := p.at.Load(); total < 0 {
		_ = p.mu.bar.Add(1)
	} else if at < int64(total) {
		_ = p.mu.bar.Set64(at)
	}
}
