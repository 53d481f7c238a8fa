//go:build race

package app

import "time"

// Under the race detector an engine is ten times slower, so that fewer clients are as many for it.
const (
	chaosStreams  = 150
	chaosPatience = 4 * time.Second
)
