package local

import (
	"fmt"
	"runtime"

	"github.com/weir-ai/weir/engine/tensor"
)

// Machine is what the models of one process share: the kernel set that this processor has, and the workers that run it. Two
// models then take turns on the cores rather than fight over them.
type Machine struct {
	Set    tensor.Set
	Reason string // one line for the log: which kernels were chosen, and why
	pool   *tensor.Pool
}

// threadsMax bounds the workers. Past about this many, one decode step is too short to hand out; an engine without a cap has been
// seen to fall below one token a second on 256 threads.
const threadsMax = 64

// NewMachine chooses the kernels and starts the workers. Threads 0 is one for each core that the process may use; kernels is the
// value of WEIR_KERNELS, empty for the best that the processor has.
func NewMachine(threads int, kernels string) (*Machine, error) {
	if threads < 0 || threads > threadsMax {
		return nil, fmt.Errorf("engine.threads %d is out of range; it is 1 to %d, or 0 for one a core", threads, threadsMax)
	}
	if threads == 0 {
		threads = min(runtime.GOMAXPROCS(0), threadsMax)
	}
	set, reason, err := tensor.Detect(kernels)
	if err != nil {
		return nil, fmt.Errorf("WEIR_KERNELS: %w", err)
	}
	return &Machine{Set: set, Reason: fmt.Sprintf("%s, %d threads", reason, threads), pool: tensor.NewPool(threads)}, nil
}

// Close ends the workers. Every Backend on the machine must be closed before.
func (m *Machine) Close() { m.pool.Close() }
