package local

import (
	"cmp"
	"fmt"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
)

// Config says how the embedded engine runs a model. The zero value is usable: every field has a default.
type Config struct {
	// Activations is the type in which activations meet quantised weights: int8 or f32. Empty is int8: two to four times as fast,
	// with an error of the size of the weights' own rounding. f32 is for comparing with other engines.
	Activations string
	// KV is the type of the KV cache: f32, f16 or int8. Empty is f16: half the memory and bandwidth of f32 at a rounding of 5e-4,
	// below that of any quantised weight; int8 halves it again but its cost in quality has not been measured widely enough yet.
	KV string
	// Context is the longest sequence, prompt and answer together. 0 is the model's own, but at most contextDefault: a longer one
	// costs nothing until it is used, yet a single request could then take the whole cache. More than the model's own is cut down
	// to that, because one setting serves models of several sizes; ContextLength and About tell what came of it.
	Context int
	// Sequences is how many answers are computed in one batch. 0 is sequencesDefault.
	Sequences int
	// Waiting is how many requests may wait for a place. 0 is waitingDefault.
	Waiting int
	// CacheBytes is the memory of the KV cache. 0 is cacheBytesDefault, but never less than one sequence of full length needs.
	CacheBytes int64
}

const (
	// contextDefault: longer than nearly all chats; at 8,192 a 1 B model's f16 cache for one sequence is about 256 MB.
	contextDefault = 8192
	// sequencesDefault: throughput on a CPU grows until about 32 sequences (measured 10x one sequence) and is flat beyond, while
	// each further one makes every other slower.
	sequencesDefault = 32
	// waitingDefault: at 32 in the batch, 256 more wait for about eight batches; longer waits are better refused at once, shorter
	// queues would refuse bursts that are answered within seconds.
	waitingDefault = 256
	// cacheBytesDefault: 32 chats of 1,000 tokens of a 0.5 B model; little beside the weights, and every laptop has it.
	cacheBytesDefault = 512 << 20
)

// WithDefaults is c with the default in the place of each zero. Context stays: its default depends on the model.
func (c Config) WithDefaults() Config {
	c.Activations, c.KV = cmp.Or(c.Activations, "int8"), cmp.Or(c.KV, "f16")
	c.Sequences, c.Waiting = cmp.Or(c.Sequences, sequencesDefault), cmp.Or(c.Waiting, waitingDefault)
	c.CacheBytes = cmp.Or(c.CacheBytes, cacheBytesDefault)
	return c
}

// Validate reports every fault of c.
func (c Config) Validate() []string {
	var bad []string
	if _, err := c.activations(); err != nil {
		bad = append(bad, err.Error())
	}
	if _, err := c.kv(); err != nil {
		bad = append(bad, err.Error())
	}
	bound := func(name string, v, most int64) {
		if v < 0 || v > most {
			bad = append(bad, fmt.Sprintf("engine.%s %d is out of range; it is 0 (the default) to %d", name, v, most))
		}
	}
	bound("context", int64(c.Context), 1<<20)
	bound("sequences", int64(c.Sequences), 1024)
	bound("waiting", int64(c.Waiting), 1<<16)
	bound("kv_memory", c.CacheBytes, 1<<42)
	return bad
}

func (c Config) activations() (tensor.Activations, error) {
	switch c.Activations {
	case "", "int8":
		return tensor.ActInt8, nil
	case "f32":
		return tensor.ActF32, nil
	}
	return 0, fmt.Errorf("engine.activations %q is not known; it is int8 or f32", c.Activations)
}

func (c Config) kv() (model.KVType, error) {
	switch c.KV {
	case "", "f16":
		return model.KVF16, nil
	case "f32":
		return model.KVF32, nil
	case "int8":
		return model.KVInt8, nil
	}
	return 0, fmt.Errorf("engine.kv %q is not known; it is f32, f16 or int8", c.KV)
}

// orDefault gives v, or d where v is 0.
func orDefault[T int | int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}
