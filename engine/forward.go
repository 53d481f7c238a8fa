package engine

import "github.com/weir-ai/weir/engine/model"

// forwarder is what the engine needs of a model and its cache: the real one, or a fake in the scheduler's tests.
type forwarder interface {
	// forward computes the chunks, keeps their keys and values in the blocks, and returns the logits that they want, in
	// their order: (rows, vocab). The slice is good until the next call.
	forward(chunks []chunk) ([]float32, error)
}

// chunk is the next tokens of one sequence.
type chunk = model.Chunk

const (
	noLogits   = model.NoLogits
	lastLogits = model.LastLogits
	allLogits  = model.AllLogits
)

// New makes an engine on a model, which from then on belongs to it, with memory for cfg.Blocks blocks of keys and values. Where
// cfg.Parallel is nil, tokens are chosen on the model's own workers.
func New(m *model.Model, cfg Config) (*Engine, error) {
	spec, o := m.Spec(), m.Options()
	if cfg.Parallel == nil {
		cfg.Parallel = o.Pool.Run
	}
	bind := func(blocks int) forwarder { return decoder{m, m.NewCache(blocks)} }
	return newEngine(bind, sizes{vocab: spec.Vocab, context: o.MaxContext, blockSize: o.BlockSize, blockBytes: m.BlockBytes()}, cfg)
}

// decoder is the real model with its cache.
type decoder struct {
	model *model.Model
	cache *model.Cache
}

func (d decoder) forward(chunks []chunk) ([]float32, error) { return d.model.Forward(d.cache, chunks) }
