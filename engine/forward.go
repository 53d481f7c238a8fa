package engine

// forwarder is what the engine needs of a model and its cache: the real one, or a fake in the scheduler's tests.
type forwarder interface {
	// forward computes the chunks, keeps their keys and values in the blocks, and returns the logits that they want, in
	// their order: (rows, vocab). The slice is good until the next call.
	forward(chunks []chunk) ([]float32, error)
}

// chunk is the next tokens of one sequence.
type chunk struct {
	Tokens []int32 // at positions Start and on
	Start  int
	Blocks []int32 // Blocks[i] holds positions i*blockSize and on
	Want   wanted
}

type wanted int

const (
	noLogits wanted = iota
	lastLogits
	allLogits
)
