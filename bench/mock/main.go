// Command mock is an OpenAI-shaped upstream for gateway measurements: it answers at once or after a set delay, streams chunks at a set
// interval, and fails in set shares.
//
// Every chunk of a stream carries the time it was sent, in nanoseconds since 1970, inside delta.content as "t=<19 digits>": a load
// generator on the same machine reads from it how long the chunk travelled through whatever sits between.
//
// Each request is one goroutine of net/http's; settings are an immutable snapshot behind an atomic pointer, which POST /_set swaps. It
// never computes an answer and never looks at a key.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // on /debug/pprof/, to see that the mock is not what limits a measurement
	"os"
	"time"
)

func main() {
	var s settings
	addr := flag.String("addr", "127.0.0.1:18000", "listen address (loopback)")
	flag.DurationVar(&s.Delay, "delay", 0, "delay before reply / first chunk")
	flag.Float64Var(&s.Jitter, "jitter", 0, "lognormal sigma on delay")
	flag.IntVar(&s.Chunks, "chunks", 100, "SSE chunks")
	flag.DurationVar(&s.Interval, "interval", 20*time.Millisecond, "between chunks")
	flag.IntVar(&s.Tokens, "tokens", 200, "words in a non-streaming reply")
	flag.Float64Var(&s.P429, "p429", 0, "share answered 429")
	flag.Float64Var(&s.P500, "p500", 0, "share answered 500")
	flag.Float64Var(&s.PHang, "phang", 0, "share never answered")
	flag.Float64Var(&s.PCut, "pcut", 0, "share of streams cut half way")
	flag.IntVar(&s.Slots, "slots", 0, "serve at most this many at once (0 = no limit)")
	flag.IntVar(&s.Queue, "queue", 1<<30, "waiting room when -slots is set")
	flag.Parse()
	if err := serve(*addr, newUpstream(s)); err != nil {
		fmt.Fprintln(os.Stderr, "mock:", err)
		os.Exit(1)
	}
}

// serve answers until the listener fails.
func serve(addr string, u *upstream) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: u.routes(), ConnState: u.countConnection}
	fmt.Fprintln(os.Stderr, "mock on", listener.Addr())
	return server.Serve(listener)
}
