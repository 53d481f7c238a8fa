package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// Options says how a model computes. The zero value works: plain Go kernels on the caller's goroutine.
type Options struct {
	Set         tensor.Set
	Pool        *tensor.Pool // nil computes on the caller alone
	Activations tensor.Activations
	// MaxContext bounds positions; 0 is the model's own context. More is allowed: the answers get worse, not wrong.
	MaxContext int
	KV         KVType
	// BlockSize is the number of positions in a block; 0 is 16. Fewer would make block tables and hashes a visible cost and
	// reads short; more would waste memory in the last block of every sequence and share shorter prefixes.
	BlockSize int
	// MaxTokens bounds the rows of one pass through the layers; 0 is 512. Forward cuts longer work into several passes, which
	// changes no bit. Fewer than about 64 would leave the matrix kernels short of work; at 512 they are at their best, and
	// activations of a 1 B model take 50 MB.
	MaxTokens int
}

const (
	defaultBlockSize = 16
	defaultMaxTokens = 512
	maxBlockSize     = 1 << 12
	maxMaxTokens     = 1 << 16
)

func (o *Options) complete(s Spec) error {
	if o.BlockSize == 0 {
		o.BlockSize = defaultBlockSize
	}
	if o.MaxTokens == 0 {
		o.MaxTokens = defaultMaxTokens
	}
	if o.MaxContext == 0 {
		o.MaxContext = s.Context
	}
	switch {
	case o.BlockSize < 1 || o.BlockSize > maxBlockSize:
		return fmt.Errorf("options: BlockSize is %d; it must be 1 to %d", o.BlockSize, maxBlockSize)
	case o.MaxTokens < 1 || o.MaxTokens > maxMaxTokens:
		return fmt.Errorf("options: MaxTokens is %d; it must be 1 to %d", o.MaxTokens, maxMaxTokens)
	case o.MaxContext < 1 || o.MaxContext > maxContext:
		return fmt.Errorf("options: MaxContext is %d; it must be 1 to %d", o.MaxContext, maxContext)
	case o.KV < KVF32 || o.KV > KVInt8:
		return fmt.Errorf("options: %s is unknown", o.KV)
	}
	return nil
}

// Model is the weights of a decoder and the scratch memory of its passes. It reads the file's mapped bytes as long as it lives:
// the weights.File must stay open.
type Model struct {
	spec    Spec
	options Options
	embed   weights.Tensor // (vocab, dim), read row by row from the file: only the rows of words in use are ever touched
	layers  []layer
	norm    []float32 // (dim)
	output  *tensor.Matrix
	freq    []float32 // (headDim/2) rope angle of one position
	pass    pass
}

// layer is one block of the decoder.
type layer struct {
	attnNorm, ffnNorm []float32 // (dim)
	qNorm, kNorm      []float32 // (headDim), nil without QKNorm
	q, k, v, o        linear
	gate, up, down    linear
	window            int // positions that attention sees, math.MaxInt for all
}

// linear is a matrix (rows, cols) with a bias (rows), nil for none.
type linear struct {
	w    *tensor.Matrix
	bias []float32
}

// Spec says what the model is.
func (m *Model) Spec() Spec { return m.spec }

// Options are those of Load, with the defaults filled in.
func (m *Model) Options() Options { return m.options }

// ReadSpec reads what a file says of its model without preparing its weights. Parameters, Bytes, Types and, for GGUF, the
// biases count what tensors the file has.
func ReadSpec(f *weights.File) (Spec, error) {
	s, err := readSpec(f)
	if err != nil {
		return Spec{}, fmt.Errorf("model %s: %w", f.Path, err)
	}
	for _, t := range f.Tensors() {
		s.count(t)
	}
	s.sortTypes()
	return s, nil
}

func readSpec(f *weights.File) (s Spec, err error) {
	switch {
	case f.Format == "gguf":
		if s, err = ggufSpec(f); err != nil {
			return s, err
		}
		has := func(name string) bool { _, ok := f.Tensor(name); return ok }
		s.Tied = !has("output.weight")
		s.QKVBias = s.QKVBias || has("blk.0.attn_q.bias")
		s.OutBias = has("blk.0.attn_output.bias")
		s.MLPBias = has("blk.0.ffn_gate.bias")
		return s, nil
	case len(f.Config) == 0:
		return s, errors.New("no config.json lies beside the weights; a Hugging Face model needs it")
	}
	return hfSpec(f.Config)
}

// Load prepares a model: it checks that every tensor of the architecture is there in its shape and that no other is, and
// repacks the matrices for the kernel set.
func Load(f *weights.File, o Options) (*Model, error) {
	m, err := load(f, o)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", f.Path, err)
	}
	return m, nil
}

func load(f *weights.File, o Options) (*Model, error) {
	s, err := readSpec(f)
	if err != nil {
		return nil, err
	}
	if err := o.complete(s); err != nil {
		return nil, err
	}
	if have := len(f.Tensors()); s.Layers > have {
		return nil, fmt.Errorf("the file promises %d layers and has %d tensors", s.Layers, have)
	}
	m := &Model{spec: s, options: o}
	r := &reader{file: f, options: o, spec: &m.spec, used: map[string]bool{}, names: hfNames}
	if s.Format == "gguf" {
		r.names = ggufNames
	}
	m.read(r)
	r.unused()
	r.pack()
	if r.err != nil {
		return nil, r.err
	}
	m.spec.sortTypes()
	if err := m.spec.Rope.check(); err != nil {
		return nil, err
	}
	m.freq = m.spec.Rope.frequencies(s.HeadDim)
	m.pass.bind(m)
	return m, nil
}

// read takes every tensor of the architecture.
func (m *Model) read(r *reader) {
	s := &m.spec
	n := r.names
	m.embed = r.tensor(n.embed, s.Vocab, s.Dim)
	m.norm = r.vector(n.norm, s.Dim)
	if s.Tied {
		// One embedding in the file, one matrix in memory: rows of tokens are read from the file itself.
		r.packs = append(r.packs, packing{m.embed, &m.output})
	} else {
		r.matrix(&m.output, n.output, s.Vocab, s.Dim)
	}
	if s.Format == "gguf" && s.Arch == "llama" {
		if _, ok := r.file.Tensor("rope_freqs.weight"); ok {
			if s.Rope.Scaling != "" {
				r.fail("rope_freqs.weight and %q rope scaling together are not supported", s.Rope.Scaling)
			}
			s.Rope.Scaling, s.Rope.Factors = "factors", r.vector("rope_freqs.weight", s.HeadDim/2)
		}
	}
	m.layers = make([]layer, s.Layers)
	for i := range m.layers {
		r.layer(&m.layers[i], i)
	}
}

// names are what a file format calls the tensors; those of a layer follow its prefix.
type names struct {
	embed, norm, output                string
	layer                              string // a format of the layer's number
	attnNorm, q, k, v, o, qNorm, kNorm string
	ffnNorm, gate, up, down            string
}

var hfNames = names{embed: "model.embed_tokens.weight", norm: "model.norm.weight", output: "lm_head.weight", layer: "model.layers.%d.",
	attnNorm: "input_layernorm", q: "self_attn.q_proj", k: "self_attn.k_proj", v: "self_attn.v_proj", o: "self_attn.o_proj",
	qNorm: "self_attn.q_norm", kNorm: "self_attn.k_norm", ffnNorm: "post_attention_layernorm",
	gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj"}

var ggufNames = names{embed: "token_embd.weight", norm: "output_norm.weight", output: "output.weight", layer: "blk.%d.",
	attnNorm: "attn_norm", q: "attn_q", k: "attn_k", v: "attn_v", o: "attn_output", qNorm: "attn_q_norm", kNorm: "attn_k_norm",
	ffnNorm: "ffn_norm", gate: "ffn_gate", up: "ffn_up", down: "ffn_down"}

// reader takes tensors out of a file, checks them and counts them. It keeps the first error.
type reader struct {
	file    *weights.File
	options Options
	spec    *Spec
	names   names
	used    map[string]bool
	packs   []packing
	err     error
}

// packing is a matrix that waits to be repacked.
type packing struct {
	t   weights.Tensor
	dst **tensor.Matrix
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) layer(l *layer, i int) {
	s, n := r.spec, r.names
	prefix := fmt.Sprintf(n.layer, i)
	linear := func(l *linear, name string, rows, cols int, bias bool) {
		r.matrix(&l.w, prefix+name+".weight", rows, cols)
		if bias {
			l.bias = r.vector(prefix+name+".bias", rows)
		}
	}
	heads, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	l.attnNorm = r.vector(prefix+n.attnNorm+".weight", s.Dim)
	l.ffnNorm = r.vector(prefix+n.ffnNorm+".weight", s.Dim)
	linear(&l.q, n.q, heads, s.Dim, s.QKVBias)
	linear(&l.k, n.k, kv, s.Dim, s.QKVBias)
	linear(&l.v, n.v, kv, s.Dim, s.QKVBias)
	linear(&l.o, n.o, s.Dim, heads, s.OutBias)
	linear(&l.gate, n.gate, s.Hidden, s.Dim, s.MLPBias)
	linear(&l.up, n.up, s.Hidden, s.Dim, s.MLPBias)
	linear(&l.down, n.down, s.Dim, s.Hidden, s.MLPBias)
	if s.QKNorm {
		l.qNorm = r.vector(prefix+n.qNorm+".weight", s.HeadDim)
		l.kNorm = r.vector(prefix+n.kNorm+".weight", s.HeadDim)
	}
	l.window = s.Windows[i]
	if l.window == 0 {
		l.window = math.MaxInt
	}
}

// tensor takes one tensor, which must have this shape, a type that Weir reads and all its bytes.
func (r *reader) tensor(name string, shape ...int) weights.Tensor {
	if r.err != nil {
		return weights.Tensor{}
	}
	t, ok := r.file.Tensor(name)
	switch {
	case !ok:
		r.fail("tensor %s %v is missing", name, shape)
	case !slices.Equal(t.Shape, shape):
		r.fail("tensor %s has shape %v; the configuration makes it %v", name, t.Shape, shape)
	case !t.Type.Supported():
		r.fail("tensor %s is stored as %s; supported are %s", name, cmp.Or(t.Stored, t.Type.String()), tensor.SupportedTypes)
	case shape[len(shape)-1]%t.Type.BlockLen() != 0:
		r.fail("tensor %s: rows of %d values do not divide into %s blocks of %d", name, shape[len(shape)-1], t.Type, t.Type.BlockLen())
	default:
		size := t.Type.BlockBytes()
		for i, n := range shape {
			if i == len(shape)-1 {
				n /= t.Type.BlockLen()
			}
			size *= n // no overflow: the bounds of Spec.check hold for both factors
		}
		if size != len(t.Data) {
			r.fail("tensor %s has %d bytes; %s %v needs %d", name, len(t.Data), t.Type, shape, size)
		}
	}
	if r.err != nil {
		return weights.Tensor{}
	}
	r.used[name] = true
	r.spec.count(t)
	return t
}

func (r *reader) matrix(dst **tensor.Matrix, name string, rows, cols int) {
	r.packs = append(r.packs, packing{r.tensor(name, rows, cols), dst})
}

// pack repacks the matrices, several at once, after everything else is known to be right: it is the long part of loading.
func (r *reader) pack() {
	if r.err != nil {
		return
	}
	errs := make([]error, len(r.packs))
	r.options.Pool.Run(len(r.packs), func(i int) {
		t := r.packs[i].t
		*r.packs[i].dst, errs[i] = tensor.NewMatrix(r.options.Set, t.Type, t.Shape[0], t.Shape[1], t.Data, r.options.Activations)
	})
	for i, err := range errs {
		if err != nil {
			r.fail("tensor %s: %w", r.packs[i].t.Name, err)
		}
	}
}

// vector takes a tensor of one dimension as float32.
func (r *reader) vector(name string, n int) []float32 {
	t := r.tensor(name, n)
	if r.err != nil {
		return nil
	}
	v := make([]float32, n)
	if err := tensor.Dequantize(t.Type, v, t.Data); err != nil {
		r.fail("tensor %s: %w", name, err)
	}
	return v
}

// unused refuses tensors that no part of the architecture has taken: a file with more than we compute is another model. The
// exceptions hold no knowledge of their own: rope tables that old converters wrote, and the output matrix of a tied model,
// which transformers writes at times and replaces by the embedding.
func (r *reader) unused() {
	if r.err != nil {
		return
	}
	for _, t := range r.file.Tensors() {
		if r.used[t.Name] || strings.HasSuffix(t.Name, "rotary_emb.inv_freq") || strings.HasSuffix(t.Name, "attn_rot_embd.weight") ||
			r.spec.Tied && t.Name == r.names.output {
			continue
		}
		r.fail("tensor %s %v is not part of a %s model as its configuration describes it; supported are %s", t.Name, t.Shape, r.spec.Arch, Supported)
		return
	}
}

// count adds a tensor to the totals.
func (s *Spec) count(t weights.Tensor) {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	size := int64(len(t.Data))
	s.Parameters += n
	s.Bytes += size
	i := slices.IndexFunc(s.Types, func(share TypeShare) bool { return share.Type == t.Type })
	if i < 0 {
		i = len(s.Types)
		s.Types = append(s.Types, TypeShare{Type: t.Type})
	}
	s.Types[i].Tensors++
	s.Types[i].Parameters += n
	s.Types[i].Bytes += size
}

func (s *Spec) sortTypes() {
	slices.SortStableFunc(s.Types, func(a, b TypeShare) int {
		switch {
		case a.Parameters > b.Parameters:
			return -1
		case a.Parameters < b.Parameters:
			return 1
		}
		return int(a.Type) - int(b.Type)
	})
}
