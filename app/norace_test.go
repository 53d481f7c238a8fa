//go:build !race

package app

import "time"

const (
	// chaosStreams is how many clients stream at once.
	chaosStreams = 1000
	// chaosPatience is how long an endpoint may be silent: far longer than an engine under all of them takes for a step.
	chaosPatience = 2 * time.Second
)
