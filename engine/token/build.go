package token

import (
	"fmt"
	"slices"
	"strings"
)

// spec is a tokenizer's description, as the readers of the three file forms fill it; the functions below build from it.
type spec struct {
	texts  []string // (tokens)
	kinds  []kind   // (tokens)
	scores []float32
	merges []pair

	pre     preTokenizer
	preName string
	whole   bool
	norm    normalizer
	shrinks int // Tokenizer.shrinks
	// addedAsBytes reads the text of added tokens in the byte alphabet too when decoding, as Hugging Face's library does: an added
	// "ö" becomes the byte F6 there. llama.cpp writes it as it is.
	addedAsBytes bool
	// byteText lets text that spells a byte token ("<0x0A>") become it in Unigram, as Hugging Face's library does.
	byteText bool

	bos, eos, unk  ID   // none where there is none
	ends           []ID // further tokens that end a generation, as the file lists them
	addBOS, addEOS bool
	before, after  []ID              // around a text, where not just BOS and EOS
	flags          map[ID]addedToken // flags of added tokens that are not the usual
	specials       map[string]string // "bos_token" to "<s>"; nil: made from bos, eos and unk
}

// put adds tokens to the vocabulary, or changes what is known of those that it has.
func (s *spec) put(added []hfAdded) error {
	most := int64(len(s.texts) + len(added) + holesMax)
	for _, a := range added {
		if a.ID < 0 || a.ID >= most {
			return fmt.Errorf("added token %q has id %d, but the file has only %d tokens", a.Content, a.ID, len(s.texts)+len(added))
		}
		for int64(len(s.texts)) <= a.ID {
			s.texts, s.kinds = append(s.texts, ""), append(s.kinds, kindUnused)
			if s.scores != nil {
				s.scores = append(s.scores, 0)
			}
		}
		s.texts[a.ID], s.kinds[a.ID] = a.Content, kindUser
		if a.Special {
			s.kinds[a.ID] = kindControl
		}
		s.flags[ID(a.ID)] = addedToken{lstrip: a.LStrip, rstrip: a.RStrip, singleWord: a.SingleWord}
	}
	return nil
}

// holesMax is how many ids of a vocabulary may have no token. Some files leave out reserved ones; with no bound a small file
// could make a vocabulary of a billion.
const holesMax = 1024

// longestAdded bounds special and added tokens, in bytes. Published ones reach 200 (long runs of spaces); every place of a text
// where one may begin is compared with as many lengths as there are.
const longestAdded = 1024

// find gives the token with a text: the last, because an added token may repeat the text of an ordinary one.
func (s *spec) find(text string) (ID, bool) {
	for i := len(s.texts) - 1; i >= 0; i-- {
		if s.texts[i] == text {
			return ID(i), true
		}
	}
	return none, false
}

// name sets BOS and EOS as the files beside the vocabulary name them; those that they do not name stay as they are.
func (s *spec) name(sp special) error {
	s.specials, s.ends = sp.texts, sp.ends
	for name, id := range map[string]*ID{"bos_token": &s.bos, "eos_token": &s.eos} {
		text := sp.texts[name]
		if text == "" {
			continue
		}
		found, ok := s.find(text)
		if !ok {
			return fmt.Errorf("%s %q is not in the vocabulary", name, text)
		}
		*id = found
	}
	if s.eos == none && len(s.ends) > 0 && s.ends[0] >= 0 && int(s.ends[0]) < len(s.texts) {
		s.eos = s.ends[0]
	}
	return nil
}

// namesOf gives the names that chat templates have for the special ids.
func (s *spec) namesOf() map[string]string {
	names := map[string]string{}
	for name, id := range map[string]ID{"bos_token": s.bos, "eos_token": s.eos, "unk_token": s.unk} {
		if id != none {
			names[name] = s.texts[id]
		}
	}
	return names
}

// newByteLevel builds a byte-level BPE tokenizer.
func newByteLevel(sp spec) (*Tokenizer, error) {
	t, err := newTokenizer(sp)
	if err != nil {
		return nil, err
	}
	v := &t.vocab
	v.setPieces(func(dst []byte, id ID) []byte {
		if k := v.kinds[id]; k == kindUser && !sp.addedAsBytes || k.special() {
			return append(dst, v.texts[id]...)
		}
		return appendFromByteLevel(dst, v.texts[id])
	})
	if t.model, err = newByteBPE(v, sp.merges, sp.unk, sp.whole); err != nil {
		return nil, err
	}
	return t, nil
}

// newTokenizer builds what all kinds share: the vocabulary, the added tokens and the special ids.
func newTokenizer(sp spec) (*Tokenizer, error) {
	v, err := newVocabulary(sp.texts, sp.kinds)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{vocab: v, norm: sp.norm, shrinks: sp.shrinks, pre: sp.pre, preName: sp.preName, bos: sp.bos, eos: sp.eos, addsBOS: sp.addBOS}
	for _, named := range []struct {
		name string
		id   ID
	}{{"BOS", sp.bos}, {"EOS", sp.eos}, {"unknown", sp.unk}} {
		if named.id != none && !v.has(named.id) {
			return nil, fmt.Errorf("the %s token has id %d, but the vocabulary has %d tokens", named.name, named.id, len(sp.texts))
		}
	}
	for i, k := range v.kinds {
		if k == kindControl || k == kindUnknown || k == kindUser {
			if n := len(v.texts[i]); n > longestAdded {
				return nil, fmt.Errorf("added token %d is %d bytes long; at most %d are supported", i, n, longestAdded)
			}
			tok := sp.flags[ID(i)]
			tok.id, tok.special = ID(i), k != kindUser
			t.added.put(v.texts[i], tok)
		}
	}
	t.before, t.after = sp.before, sp.after
	if sp.addBOS && t.before == nil {
		if sp.bos == none {
			return nil, fmt.Errorf("BOS is to begin every text, but the vocabulary names no BOS token")
		}
		t.before = []ID{sp.bos}
	}
	if sp.addEOS && t.after == nil {
		if sp.eos == none {
			return nil, fmt.Errorf("EOS is to end every text, but the vocabulary names no EOS token")
		}
		t.after = []ID{sp.eos}
	}
	t.eogs = t.endings(sp)
	if t.specials = sp.specials; t.specials == nil {
		t.specials = sp.namesOf()
	}
	return t, nil
}

// endings collects the tokens that end a generation: those that the file names, and control tokens whose text says so, because
// files name one EOS while a chat model ends its turn with another. llama.cpp finds them in the same way.
func (t *Tokenizer) endings(sp spec) []ID {
	var ids []ID
	for _, id := range append([]ID{sp.eos}, sp.ends...) {
		if t.vocab.has(id) {
			ids = append(ids, id)
		}
	}
	for i, k := range t.vocab.kinds {
		if k.special() && endsTurn(t.vocab.texts[i]) {
			ids = append(ids, ID(i))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// endsTurn knows the texts of end-of-turn tokens (llama.cpp, src/llama-vocab.cpp, special_eog_ids).
func endsTurn(text string) bool {
	switch text {
	case "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>",
		"</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
		"<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>":
		return true
	}
	return false
}

func unknownPre(name string) error {
	return fmt.Errorf("pre-tokenizer %q is not supported; supported are %s and names of the same families", name,
		strings.Join(preTokenizerNames(), ", "))
}
