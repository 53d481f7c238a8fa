package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// stack holds the named stops of what was started; unwinding it ends the last started first.
type stack struct {
	stops []stop
}

type stop struct {
	name string
	do   func(context.Context) error
}

func (s *stack) push(name string, do func(context.Context) error) {
	s.stops = append(s.stops, stop{name, do})
}

// slowStop is when a stop is worth a line in the log: people watch a stop that takes longer.
const slowStop = time.Second

// unwind runs every stop, whatever the others returned, and joins their errors with their names.
func (s *stack) unwind(ctx context.Context, log *slog.Logger) error {
	var errs []error
	for _, st := range slices.Backward(s.stops) {
		begun := time.Now()
		if err := st.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", st.name, err))
		}
		if took := time.Since(begun); took > slowStop {
			log.Info("stopped", "part", st.name, "took", took.Round(time.Millisecond))
		}
	}
	s.stops = nil
	return errors.Join(errs...)
}
