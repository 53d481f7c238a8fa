package local

import (
	"strings"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// writer turns the tokens of one answer into text that may leave: whole characters only, nothing of a stop string, and no text
// that could still turn out to be the beginning of one.
//
// The held text is short: at most the longest stop string less one byte, and the bytes of a character that is not complete.
type writer struct {
	stream   *token.Stream
	stops    []string
	minimum  int // tokens before which no stop string is looked for
	withToks bool

	tokens  int                // seen so far
	held    string             // complete characters that may begin a stop string
	pending []llm.TokenLogprob // the tokens behind held, in order
	starts  []int              // for each of pending: where in held its text begins
}

// push takes the next token and gives the text that may leave now, with its tokens. A met stop string ends the answer: stop is
// the string, and out is what stood before it.
func (w *writer) push(id token.ID, t llm.TokenLogprob) (out string, toks []llm.TokenLogprob, stop string) {
	w.tokens++
	if w.withToks {
		w.pending, w.starts = append(w.pending, t), append(w.starts, len(w.held))
	}
	from := len(w.held)
	w.held += w.stream.Push(id)
	return w.release(from, false)
}

// flush gives what is left when the answer has ended by itself.
func (w *writer) flush() (out string, toks []llm.TokenLogprob, stop string) {
	from := len(w.held)
	w.held += w.stream.Flush()
	return w.release(from, true)
}

// release splits held into what may leave and what must wait. Only a stop string that ends in the new text (from) can be new.
func (w *writer) release(from int, last bool) (out string, toks []llm.TokenLogprob, stop string) {
	if w.tokens >= w.minimum {
		if at, s := w.find(from); s != "" {
			out, toks = w.cut(at)
			w.held, w.pending, w.starts = "", nil, nil
			return out, toks, s
		}
	}
	keep := 0
	if !last {
		keep = w.overlap()
	}
	out, toks = w.cut(len(w.held) - keep)
	return out, toks, ""
}

// find looks for the stop string that begins first.
func (w *writer) find(from int) (at int, stop string) {
	at = -1
	for _, s := range w.stops {
		start := max(0, from-len(s)+1)
		if i := strings.Index(w.held[start:], s); i >= 0 && (at < 0 || start+i < at) {
			at, stop = start+i, s
		}
	}
	return at, stop
}

// overlap is the length of the longest end of held that begins a stop string.
func (w *writer) overlap() int {
	longest := 0
	for _, s := range w.stops {
		for n := min(len(s)-1, len(w.held)); n > longest; n-- {
			if strings.HasSuffix(w.held, s[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// cut takes the first n bytes of held, with the tokens that begin in them; a token without text goes with what stands before it.
func (w *writer) cut(n int) (string, []llm.TokenLogprob) {
	out := w.held[:n]
	w.held = w.held[n:]
	if !w.withToks {
		return out, nil
	}
	k := 0
	for k < len(w.starts) && (w.starts[k] < n || w.held == "") {
		k++
	}
	toks := w.pending[:k:k]
	w.pending, w.starts = w.pending[k:], w.starts[k:]
	for i := range w.starts {
		w.starts[i] -= n
	}
	return out, toks
}
