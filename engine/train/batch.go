package train

import "fmt"

// batch is several examples packed into one array of tokens. Of each example only what the counted predictions need is
// computed: the tokens before the last one, and above the last block's attention only the places that predict.
type batch struct {
	tokens  []int32 // (count)
	at      []int32 // (count): place in the example, for rope
	rows    []int32 // (rows): which of the tokens predict something that counts
	rowsAt  []int32 // (rows): their places in their examples
	targets []int32 // (rows)
	seqs    []seq
	all     int // probabilities of a full block: sum of heads*n*n
	last    int // probabilities of the last block: sum of heads*rows*n
}

// seq is one example's part of a batch.
type seq struct {
	first, n        int // tokens
	firstRow, nRows int // rows
	all, last       int // offsets of its probabilities, (heads, n, n) and (heads, nRows, n)
}

// batchTokens is about how many tokens go through the network at once; a step with more is several passes that add up their
// gradients. All that the backward pass needs of a token is some 50 KB at weir-mini's shape, so 1,024 tokens take 50 MB. More
// measures no faster and only takes memory; 256 pack every matrix four times as often and leave many cores too few tiles.
const batchTokens = 1024

// check says what is wrong with an example.
func (e Example) check(s Shape) error {
	switch {
	case len(e.Tokens) != len(e.Loss):
		return fmt.Errorf("%d tokens but %d loss marks; give one for each", len(e.Tokens), len(e.Loss))
	case len(e.Tokens) > s.Context:
		return fmt.Errorf("%d tokens; the context holds %d", len(e.Tokens), s.Context)
	case len(e.Loss) > 0 && e.Loss[0]:
		return fmt.Errorf("loss is marked on the first token, which nothing predicts")
	}
	for i, t := range e.Tokens {
		if t < 0 || int(t) >= s.Vocab {
			return fmt.Errorf("token %d is %d; the vocabulary has %d", i, t, s.Vocab)
		}
	}
	return nil
}

// pack cuts a step's examples into batches, in order, and counts the predictions. It is an error if none counts.
func pack(examples []Example, s Shape, limit int) (batches []*batch, counted int, err error) {
	b := &batch{}
	for i, e := range examples {
		if err := e.check(s); err != nil {
			return nil, 0, fmt.Errorf("example %d: %w", i, err)
		}
		if len(b.tokens) >= limit {
			batches = append(batches, b)
			b = &batch{}
		}
		b.add(e, s.Heads)
	}
	if len(b.rows) > 0 {
		batches = append(batches, b)
	}
	for _, b := range batches {
		counted += len(b.rows)
	}
	if counted == 0 {
		return nil, 0, fmt.Errorf("%d examples without a token that counts; mark answers in Example.Loss", len(examples))
	}
	return batches, counted, nil
}

func (b *batch) add(e Example, heads int) {
	n := 0 // tokens that matter: those before the last that counts
	for i, counts := range e.Loss {
		if counts {
			n = i
		}
	}
	if n == 0 {
		return
	}
	s := seq{first: len(b.tokens), n: n, firstRow: len(b.rows), all: b.all, last: b.last}
	for i := range n {
		if e.Loss[i+1] {
			b.rows = append(b.rows, int32(len(b.tokens)))
			b.rowsAt = append(b.rowsAt, int32(i))
			b.targets = append(b.targets, e.Tokens[i+1])
			s.nRows++
		}
		b.tokens = append(b.tokens, e.Tokens[i])
		b.at = append(b.at, int32(i))
	}
	b.all += heads * n * n
	b.last += heads * s.nRows * n
	b.seqs = append(b.seqs, s)
}
