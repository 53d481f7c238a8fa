package local

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/llm"
)

func TestOverlapHoldsWhatMayBeginAStop(t *testing.T) {
	t.Parallel()
	check := func(held string, stops []string, want int) {
		t.Helper()
		w := writer{held: held, stops: stops}
		if got := w.overlap(); got != want {
			t.Errorf("overlap(%q, %q) = %d, want %d", held, stops, got, want)
		}
	}
	check("abc", []string{"cd"}, 1)
	check("abc", []string{"bcd", "c!"}, 2)
	check("abc", []string{"x"}, 0)
	check("aa", []string{"aaa"}, 2)
	check("", []string{"a"}, 0)
	check("ab", []string{"ab"}, 0) // a whole stop string is find's
}

func TestFindTakesTheFirstStop(t *testing.T) {
	t.Parallel()
	w := writer{held: "one two three", stops: []string{"three", "two"}}
	if at, s := w.find(0); at != 4 || s != "two" {
		t.Errorf("got %d, %q", at, s)
	}
	if at, s := w.find(9); at != 8 || s != "three" {
		t.Errorf("from 9: got %d, %q", at, s)
	}
}

// vocabulary is the tokenizer of a synthetic model: tokens 3 to 258 are the bytes, then come five merges and fillers such as
// "Zq300x".
func vocabulary(t testing.TB) *token.Tokenizer {
	t.Helper()
	f, err := weights.Synthetic("tiny", tensor.Q8_0, 1)
	if err != nil {
		t.Fatal(err)
	}
	words, err := token.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// plainly is what a writer must do, said in one piece: after each token look for the first stop string that ends in the text it
// brought. It gives the answer's text, the stop string that ended it, and how many tokens were read.
func plainly(words *token.Tokenizer, ids []token.ID, stops []string, minimum int) (text, stop string, read int) {
	stream := words.Stream()
	look := func(more string) bool {
		before := len(text)
		text += more
		at := -1
		for _, s := range stops {
			for i := range text {
				if strings.HasPrefix(text[i:], s) && i+len(s) > before && (at < 0 || i < at) {
					at, stop = i, s
				}
			}
		}
		if at >= 0 && read >= minimum {
			text = text[:at]
			return true
		}
		stop = ""
		return false
	}
	for _, id := range ids {
		read++
		if look(stream.Push(id)) {
			return text, stop, read
		}
	}
	look(stream.Flush())
	return text, stop, read
}

// randomText draws tokens that spell characters of one to four bytes, words of the vocabulary, and now and then broken bytes.
func randomText(rng *rand.Rand, words *token.Tokenizer, n int) (ids []token.ID) {
	alphabet := []string{"a", "b", "ab", "é", "漢", "🙂", " ", "the", "in", "Zq300x", "\xf0\x9f", "\xff", "</s>"}
	for len(ids) < n {
		piece := alphabet[rng.IntN(len(alphabet))]
		if rng.IntN(2) == 0 {
			piece = alphabet[rng.IntN(3)] // often few letters, so that stop strings are met in part
		}
		if rng.IntN(3) > 0 {
			ids = append(ids, words.Encode(piece, false, true)...)
			continue
		}
		for _, b := range []byte(piece) {
			ids = append(ids, 3+token.ID(b)) // the byte tokens
		}
	}
	return ids[:n]
}

func randomStops(rng *rand.Rand, text string) (stops []string) {
	for range rng.IntN(4) {
		if runes := []rune(text); len(runes) > 0 && rng.IntN(2) == 0 {
			from := rng.IntN(len(runes))
			stops = append(stops, string(runes[from:min(len(runes), from+1+rng.IntN(5))]))
			continue
		}
		s := ""
		for range 1 + rng.IntN(5) {
			s += []string{"a", "b", "é", "🙂", "漢", "\uFFFD"}[rng.IntN(6)]
		}
		stops = append(stops, s)
	}
	return stops
}

// TestWriterAgainstThePlainDefinition feeds random texts, cut into tokens at random, and random stop strings: what leaves, put
// together, is the text before the stop string, so no part of one ever leaks; each piece is whole characters; nothing waits
// that need not; and the tokens come once each, in order.
func TestWriterAgainstThePlainDefinition(t *testing.T) {
	t.Parallel()
	words := vocabulary(t)
	stopped := 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 9))
		ids := randomText(rng, words, rng.IntN(40))
		stops := randomStops(rng, words.Decode(ids, true))
		minimum := max(0, rng.IntN(20)-10)
		want, wantStop, read := plainly(words, ids, stops, minimum)
		w := writer{stream: words.Stream(), stops: stops, minimum: minimum, withToks: true}
		var got, stop string
		var seen []llm.TokenLogprob
		take := func(out string, toks []llm.TokenLogprob, s string) {
			if !utf8.ValidString(out) {
				t.Fatalf("seed %d: %q is no whole characters", seed, out)
			}
			got, seen, stop = got+out, append(seen, toks...), s
		}
		pushed := 0
		for _, id := range ids {
			take(w.push(id, llm.TokenLogprob{ID: llm.TokenID(id)}))
			pushed++
			if stop != "" {
				break
			}
			if w.held != "" && !slices.ContainsFunc(stops, func(s string) bool { return len(s) > len(w.held) && strings.HasPrefix(s, w.held) }) {
				t.Fatalf("seed %d: %q waits, and begins none of %q", seed, w.held, stops)
			}
		}
		if stop == "" {
			take(w.flush())
		}
		if got != want || stop != wantStop || pushed != read {
			t.Fatalf("seed %d: text %q, stop %q after %d tokens; want %q, %q after %d (stops %q, minimum %d)", seed, got, stop, pushed, want, wantStop, read, stops, minimum)
		}
		stream, begins := words.Stream(), 0
		for i, tok := range seen {
			if token.ID(tok.ID) != ids[i] {
				t.Fatalf("seed %d: token %d of the events is %d; it must be %d", seed, i, tok.ID, ids[i])
			}
			text := stream.Push(ids[i])
			if text != "" && begins >= len(want) {
				t.Fatalf("seed %d: token %d of the events begins in the stop string, at %d of %q", seed, i, begins, want)
			}
			begins += len(text)
		}
		if stop == "" && len(seen) != len(ids) {
			t.Fatalf("seed %d: %d of %d tokens are told", seed, len(seen), len(ids))
		}
		if stop != "" {
			stopped++
		}
	}
	if stopped < 300 || stopped > 2700 {
		t.Errorf("%d of 3000 texts met a stop string: the cases do not test what they should", stopped)
	}
}
