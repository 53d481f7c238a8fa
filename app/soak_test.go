package app

import (
	"context"
	"errors"
	"fmt"
	"github.com/weir-ai/weir/config"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newPost(url, body string) (*http.Request, error) {
	return http.NewRequest(http.MethodPost, url, strings.NewReader(body))
}

// soakTime is how long the soak lasts: long enough for every client to have some answers, or what WEIR_SOAK says.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("WEIR_SOAK")
	if s == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		t.Fatalf("WEIR_SOAK=%q is not a duration such as 1m", s)
	}
	return d
}

// TestSoak has 200 clients stream from the built-in model at once. One request in eight is abandoned after its first frame. None fails
// otherwise; and when all have left, no sequence, no KV block, no byte of a body and no goroutine is left, and the memory is as it was
// when the first third was over.
func TestSoak(t *testing.T) {
	const clients = 200
	lasts := soakTime(t)
	process := countGoroutines()
	cfg := loopback()
	cfg.Models = map[string]config.Model{"weir-mini": {Builtin: "weir-mini", Objective: patient()}}
	b := start(t, cfg)
	system := countGoroutines()
	var answers, abandoned, text atomic.Int64
	end := time.Now().Add(lasts)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				left, err := b.oneOf(t.Context(), c, i, (c+i)%8 == 7, &text)
				if err != nil {
					t.Errorf("client %d, request %d: %v", c, i, err)
					return
				}
				if left {
					abandoned.Add(1)
				} else {
					answers.Add(1)
				}
			}
		})
	}
	time.Sleep(lasts / 3) // not to wait for anything: this is when the memory of a warm system is taken
	warm := heap()
	all.Wait()
	if err := b.gateway.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	b.idle(t)
	b.transport.CloseIdleConnections()
	system.back(t)
	if grown := int64(heap()) - int64(warm); grown > soakGrowth {
		t.Errorf("the memory grew by %d bytes, from %d", grown, warm)
	}
	t.Logf("%d answers and %d abandoned, %d bytes of text in %s; heap %d MB", answers.Load(), abandoned.Load(), text.Load(), lasts, heap()>>20)
	if answers.Load() < clients/2 || abandoned.Load() < clients/20 {
		t.Errorf("only %d answers and %d abandoned; the soak shows nothing", answers.Load(), abandoned.Load())
	}
	b.end(t)
	process.back(t)
}

// soakGrowth is what a heap may differ by between two moments of the same load: the prefix cache, whose memory is taken at the start,
// gives it nothing to grow by. A leak of 1 KB a request would pass it within a minute.
const soakGrowth = 8 << 20

// heap is the memory that is in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one freed from pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// oneOf is one request of a client; it gives whether the client left before the end, and how the request failed. Prompts differ in
// length and share beginnings, as those of one application do.
func (b *bundle) oneOf(ctx context.Context, client, i int, leave bool, received *atomic.Int64) (left bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	content := fmt.Sprintf("What is %d + %d?%s", client, i, strings.Repeat(" Say it again.", client%5))
	body := chat(true, 4+(client+i)%13, true, content)
	begun := false
	text, last, err := b.stream(ctx, body, func() {
		if begun = true; leave {
			cancel()
		}
	})
	if leave && begun && errors.Is(err, context.Canceled) {
		return true, nil
	}
	// An answer that was read to its end before it could be abandoned is as good as any.
	if err == nil && last != "[DONE]" {
		err = fmt.Errorf("the stream ended with %q", last)
	}
	received.Add(int64(len(text)))
	return false, err
}
