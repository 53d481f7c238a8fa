package app

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/weir-ai/weir/telemetry"
)

// memoryEvery is how often the limit of the container is read again: people resize containers by hand.
const memoryEvery = time.Minute

// followMemory keeps the runtime's memory limit under that of the container. It is for who owns the process.
func (s *System) followMemory() {
	ballast := telemetry.CollectSooner()
	limit := telemetry.LimitMemory(telemetry.MemoryLimit{})
	if limit.Source != telemetry.MemoryFree {
		s.log.Info("memory is limited", "limit", limit)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			next := telemetry.LimitMemory(limit)
			if next != limit {
				s.log.Info("the memory limit has changed", "limit", next, "before", limit)
			}
			limit = next
		}
	})
	s.stops.push("memory limit", func(context.Context) error {
		cancel()
		running.Wait()
		runtime.KeepAlive(ballast)
		return nil
	})
}
