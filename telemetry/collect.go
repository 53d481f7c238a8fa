package telemetry

import (
	"os"
	"runtime/debug"
)

const (
	// collectPercent is how much the heap may grow over what is alive before it is collected. What is alive in a busy gateway are bodies
	// and buffers that soon are not: at Go's own 100, a quarter of a gigabyte of bodies takes half of one, and so does a KV cache that
	// never shrinks.
	collectPercent = 50
	// ballast is memory that counts as alive and is never touched, so that the kernel gives no page for it. A small heap would otherwise
	// be collected every few hundred requests: at 50 percent and 4 MB alive a tenth of a gateway's time went into it. With 16 MB it may
	// always pile up 8 MB, two thousand requests; with 32 MB its memory after large bodies was a tenth higher.
	ballast = 16 << 20
)

// Ballast is to be kept for as long as the process should collect as CollectSooner says.
type Ballast []byte

// CollectSooner sets how much garbage the process lets pile up, unless GOGC in the environment says so. It is for who owns the process,
// and who keeps what it returns.
func CollectSooner() Ballast {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(collectPercent)
	return make(Ballast, ballast)
}
