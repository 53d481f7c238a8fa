package valkey

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ai/weir/tenant"
)

// BenchmarkTake tells what a request waits for a server on this machine, with so many at once.
func BenchmarkTake(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openShared(b, Config{Addresses: []string{startServer(b).address()}})
			var next atomic.Uint64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for n := next.Add(1); n <= uint64(b.N); n = next.Add(1) {
						d := draw(n, 0)
						d.Limits = tenant.Limits{Requests: tenant.LimitMax, Tokens: tenant.LimitMax, Concurrent: tenant.LimitMax}
						d.Now = time.Now()
						if g, err := s.Take(context.Background(), d); err != nil || g.Refused != "" {
							b.Error(g.Refused, err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "takes/s")
		})
	}
}
