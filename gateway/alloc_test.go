package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
)

// TestAFrameAllocatesNothing holds the hot path: a remote engine's frame goes from the pipeline through the door to the socket without
// an allocation, whether the answer's words are kept for a resume or not.
func TestAFrameAllocatesNothing(t *testing.T) {
	const frames = 2000
	for name, endpoints := range map[string]int{"one endpoint": 1, "several endpoints": 2} {
		got := 0.0
		run := script(func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			e := chunkOf("up", "word")
			if err := emit(e); err != nil {
				return llm.Usage{}, err
			}
			got = testing.AllocsPerRun(frames, func() {
				if err := emit(e); err != nil {
					t.Error(err)
				}
			})
			return llm.Usage{}, nil
		})
		var list []*fleet.Endpoint
		for i := range endpoints {
			list = append(list, fleet.New(fleet.Spec{ID: llm.EndpointID(rune('a' + i)), Runner: run, Continues: fleet.ContinuesText}))
		}
		var all fleet.Fleet
		if err := all.Set(map[llm.ModelID][]*fleet.Endpoint{"m": list}); err != nil {
			t.Fatal(err)
		}
		b := door(t, Config{}, nil)
		if err := b.models.Set([]registry.Model{{ID: "m", Remote: true}}); err != nil {
			t.Fatal(err)
		}
		b.runner = serve.New(b.models, &all, serve.Options{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := b.HTTPServer(b.Handler())
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(b.Listen(l)) }()
		resp, err := http.Post("http://"+l.Addr().String()+"/v1/chat/completions", "", strings.NewReader(streamBody))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		server.Close()
		<-done
		if n < frames*int64(len(chunkOf("up", "word").Frame)) {
			t.Errorf("%s: only %d bytes came", name, n)
		}
		// The client of the test runs beside it and allocates, too, and the kept words grow now and then: below a half none is a frame's.
		if got >= 0.5 {
			t.Errorf("%s: %.2f allocations a frame", name, got)
		}
	}
}

// BenchmarkExchange is a whole request through the door, without a socket: what a gateway costs beside net/http.
func BenchmarkExchange(b *testing.B) {
	answer := llm.Event{Kind: llm.EventFrame, Frame: []byte(`{"id":"x","choices":[{"message":{"content":"hi"}}]}`), Holds: llm.HoldsWhole}
	run := script(func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		return llm.Usage{PromptTokens: 1, CompletionTokens: 1}, emit(answer)
	})
	d := door(b, Config{}, nil)
	var all fleet.Fleet
	if err := all.Set(map[llm.ModelID][]*fleet.Endpoint{"m": {fleet.New(fleet.Spec{ID: "a", Runner: run})}}); err != nil {
		b.Fatal(err)
	}
	if err := d.models.Set([]registry.Model{{ID: "m", Remote: true}}); err != nil {
		b.Fatal(err)
	}
	answers, err := serve.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	d.runner = serve.New(d.models, &all, serve.Options{Report: answers.Listener(), Now: time.Now})
	h := d.Handler()
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r, _ := http.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody))
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

// sink is a ResponseWriter that takes everything.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Flush()                      {}
