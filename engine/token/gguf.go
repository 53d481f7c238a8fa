package token

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-ai/weir/engine/weights"
)

// Metadata keys of GGUF (ggml-org/ggml, docs/gguf.md; gguf-py/gguf/constants.py has those that the page lacks).
const (
	keyModel     = "tokenizer.ggml.model"
	keyPre       = "tokenizer.ggml.pre"
	keyTokens    = "tokenizer.ggml.tokens"
	keyKinds     = "tokenizer.ggml.token_type"
	keyScores    = "tokenizer.ggml.scores"
	keyMerges    = "tokenizer.ggml.merges"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id"
	keyEOM       = "tokenizer.ggml.eom_token_id"
	keyUnknown   = "tokenizer.ggml.unknown_token_id"
	keySeparator = "tokenizer.ggml.seperator_token_id" // spelled so
	keyClass     = "tokenizer.ggml.cls_token_id"
	keyPad       = "tokenizer.ggml.padding_token_id"
	keyMask      = "tokenizer.ggml.mask_token_id"
	keyAddBOS    = "tokenizer.ggml.add_bos_token"
	keyAddEOS    = "tokenizer.ggml.add_eos_token"
	keyAddSpace  = "tokenizer.ggml.add_space_prefix"
	keyCollapse  = "tokenizer.ggml.remove_extra_whitespaces"
	keyCharsmap  = "tokenizer.ggml.precompiled_charsmap"
	keyTemplate  = "tokenizer.chat_template"
	keyName      = "general.name"
)

// FromGGUF builds the tokenizer that a GGUF file's metadata describes. Where the metadata is silent it means what llama.cpp,
// whose format it is, takes it to mean.
func FromGGUF(meta weights.Meta) (*Tokenizer, error) {
	g := gguf{meta}
	s, err := g.spec()
	if err != nil {
		return nil, err
	}
	kind, _ := meta.String(keyModel)
	var t *Tokenizer
	switch kind {
	case "gpt2":
		t, err = g.byteLevel(s)
	case "llama":
		t, err = g.sentencePiece(s)
	case "t5":
		t, err = g.unigram(s)
	case "bert":
		t, err = g.wordPiece(s)
	case "":
		return nil, fmt.Errorf("%s is missing: the file has no tokenizer", keyModel)
	default:
		return nil, fmt.Errorf("%s %q is not supported; supported are gpt2 (byte-level BPE), llama (SentencePiece BPE), t5 (Unigram) and bert (WordPiece)", keyModel, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer %q: %w", kind, err)
	}
	return t, nil
}

// gguf reads a tokenizer from metadata.
type gguf struct{ meta weights.Meta }

// id reads the id of a special token. All bits set, which some converters write, means that there is none.
func (g gguf) id(key string, missing ID) (ID, error) {
	raw, there := g.meta[key]
	if !there {
		return missing, nil
	}
	n, ok := g.meta.Int(key)
	tokens, _ := g.meta.Strings(keyTokens)
	switch {
	case ok && (n == -1 || n == 1<<32-1):
		return none, nil
	case !ok || n < 0 || n >= int64(len(tokens)):
		return none, fmt.Errorf("%s is %v, want the number of one of the %d tokens", key, raw, len(tokens))
	}
	return ID(n), nil
}

// flag reads a bool.
func (g gguf) flag(key string, missing bool) (bool, error) {
	raw, there := g.meta[key]
	if !there {
		return missing, nil
	}
	b, ok := g.meta.Bool(key)
	if !ok {
		return false, fmt.Errorf("%s is %v, want true or false", key, raw)
	}
	return b, nil
}

// spec reads what all kinds share.
func (g gguf) spec() (spec, error) {
	s := spec{flags: map[ID]addedToken{}, specials: map[string]string{}}
	var ok bool
	if s.texts, ok = g.meta.Strings(keyTokens); !ok {
		return s, fmt.Errorf("%s is missing or no list of strings: the file has no vocabulary", keyTokens)
	}
	kinds, ok := g.meta.Ints(keyKinds)
	if !ok || len(kinds) != len(s.texts) {
		return s, fmt.Errorf("%s has %d numbers, want one for each of the %d tokens", keyKinds, len(kinds), len(s.texts))
	}
	s.kinds = make([]kind, len(kinds))
	for i, k := range kinds {
		if k < 0 || k > int64(kindByte) {
			return s, fmt.Errorf("%s[%d] is %d; known are 1 to 6", keyKinds, i, k)
		}
		s.kinds[i] = cmp.Or(kind(k), kindNormal) // 0 is written for "undefined"
	}
	if scores, ok := g.meta.Floats(keyScores); ok {
		if len(scores) != len(s.texts) {
			return s, fmt.Errorf("%s has %d numbers, want one for each of the %d tokens", keyScores, len(scores), len(s.texts))
		}
		if at := slices.IndexFunc(scores, func(f float32) bool { return f != f }); at >= 0 {
			return s, fmt.Errorf("%s[%d] is no number", keyScores, at)
		}
		s.scores = scores
	}
	for _, named := range []struct {
		key  string
		name string
		id   *ID
	}{{keyBOS, "bos_token", &s.bos}, {keyEOS, "eos_token", &s.eos}, {keyUnknown, "unk_token", &s.unk}, {keyPad, "pad_token", nil},
		{keySeparator, "sep_token", nil}, {keyClass, "cls_token", nil}, {keyMask, "mask_token", nil}} {
		id, err := g.id(named.key, none)
		if err != nil {
			return s, err
		}
		if id != none {
			s.specials[named.name] = s.texts[id]
		}
		if named.id != nil {
			*named.id = id
		}
	}
	for _, key := range []string{keyEOT, keyEOM} {
		id, err := g.id(key, none)
		if err != nil {
			return s, err
		}
		if id != none {
			s.ends = append(s.ends, id)
		}
	}
	return s, nil
}

// around reads whether BOS and EOS go around every text. A file that asks for one that it does not name gets none, as with
// llama.cpp.
func (g gguf) around(s *spec, bos, eos bool) (err error) {
	if bos, err = g.flag(keyAddBOS, bos); err != nil {
		return err
	}
	if eos, err = g.flag(keyAddEOS, eos); err != nil {
		return err
	}
	s.addBOS, s.addEOS = bos && s.bos != none, eos && s.eos != none
	return nil
}

func (g gguf) byteLevel(s spec) (*Tokenizer, error) {
	name, ok := g.meta.String(keyPre)
	if !ok {
		return nil, fmt.Errorf("%s is missing, so how text is cut into words is unknown; files converted before May 2024 lack it: convert the model again", keyPre)
	}
	var bos bool
	if s.pre, s.whole, bos, ok = preTokenizerOf(name); !ok {
		return nil, unknownPre(name)
	}
	s.preName = name
	lines, ok := g.meta.Strings(keyMerges)
	if !ok {
		return nil, fmt.Errorf("%s is missing or no list of strings", keyMerges)
	}
	var err error
	if s.merges, err = cutMerges(lines); err != nil {
		return nil, err
	}
	if err = g.around(&s, bos, false); err != nil {
		return nil, err
	}
	s.unk = none // llama.cpp leaves out bytes that the vocabulary lacks
	return newByteLevel(s)
}

// fixed gives the id that llama.cpp assumes for a special token that a SentencePiece file does not name.
func (g gguf) fixed(s *spec, key string, id *ID, assumed ID) {
	if _, there := g.meta[key]; !there && int(assumed) < len(s.texts) {
		*id = assumed
	}
}

func (g gguf) sentencePiece(s spec) (*Tokenizer, error) {
	if s.scores == nil {
		return nil, fmt.Errorf("%s is missing or no list of numbers", keyScores)
	}
	g.fixed(&s, keyBOS, &s.bos, 1)
	g.fixed(&s, keyEOS, &s.eos, 2)
	g.fixed(&s, keyUnknown, &s.unk, 0)
	if err := g.around(&s, true, false); err != nil {
		return nil, err
	}
	space, err := g.flag(keyAddSpace, true)
	if err != nil {
		return nil, err
	}
	if space {
		s.norm = spaced{front: frontStretch}.apply
	} else {
		s.norm = spaced{front: frontNever}.apply
	}
	s.shrinks = 1
	g.phi3(&s)
	return newSentencePiece(s, false, space)
}

// phi3 gives the tokens of Phi-3 the flag that its tokenizer.json has and GGUF cannot express: white space after a mark such as
// <|user|> belongs to the mark. llama.cpp knows the model by its name too.
func (g gguf) phi3(s *spec) {
	name, _ := g.meta.String(keyName)
	if name = strings.ToLower(name); !strings.Contains(name, "phi-3") && !strings.Contains(name, "phi3") {
		return
	}
	for i, k := range s.kinds {
		if text := s.texts[i]; k == kindControl && text != "<unk>" && text != "<s>" && text != "<|endoftext|>" || text == "</s>" {
			s.flags[ID(i)] = addedToken{rstrip: true}
		}
	}
}

func (g gguf) unigram(s spec) (*Tokenizer, error) {
	if s.scores == nil {
		return nil, fmt.Errorf("%s is missing or no list of numbers", keyScores)
	}
	g.fixed(&s, keyEOS, &s.eos, 1)
	g.fixed(&s, keyUnknown, &s.unk, 2)
	if err := g.around(&s, false, true); err != nil {
		return nil, err
	}
	space, err := g.flag(keyAddSpace, true)
	if err != nil {
		return nil, err
	}
	marks := spaced{front: frontNever}
	if space {
		marks.front = frontStretch
	}
	if marks.collapse, err = g.flag(keyCollapse, false); err != nil {
		return nil, err
	}
	if s.norm = marks.apply; !marks.collapse {
		s.shrinks = 1
	}
	if raw, there := g.meta[keyCharsmap]; there {
		b, ok := bytesOf(raw)
		if !ok {
			return nil, fmt.Errorf("%s is no list of bytes", keyCharsmap)
		}
		if len(b) > 0 {
			table, err := readCharsmap(b)
			if err != nil {
				return nil, err
			}
			s.norm, s.shrinks = func(text string, at place) string { return marks.apply(table.apply(text), at) }, 0
		}
	}
	return newUnigram(s, space, false)
}

// bytesOf reads an array of bytes, which converters write signed or unsigned.
func bytesOf(value any) ([]byte, bool) {
	switch v := value.(type) {
	case []uint8:
		return v, true
	case []int8:
		b := make([]byte, len(v))
		for i, n := range v {
			b[i] = byte(n)
		}
		return b, true
	}
	return nil, false
}

// wordPiece turns GGUF's form of the vocabulary, "▁word" and "ing", back into BERT's, "word" and "##ing".
func (g gguf) wordPiece(s spec) (*Tokenizer, error) {
	texts := make([]string, len(s.texts))
	for i, text := range s.texts {
		word, begins := strings.CutPrefix(text, spaceMark)
		switch {
		case s.kinds[i] != kindNormal || isBracketed(text):
			texts[i] = text
		case begins:
			texts[i] = word
		default:
			texts[i] = "##" + text
		}
	}
	s.texts = texts
	for _, around := range []struct {
		key string
		ids *[]ID
	}{{keyClass, &s.before}, {keySeparator, &s.after}} {
		id, err := g.id(around.key, none)
		if err != nil {
			return nil, err
		}
		if id == none {
			return nil, fmt.Errorf("%s is missing", around.key)
		}
		*around.ids = []ID{id}
	}
	// GGUF does not say whether the model was trained on lower-case text, but its vocabulary shows it.
	lower := !slices.ContainsFunc(texts, func(text string) bool { return !isBracketed(text) && strings.ContainsFunc(text, isUpperASCII) })
	s.norm = bertNormalizer{clean: true, chinese: true, accents: lower, lower: lower}.apply
	s.pre = preTokenizer{cutBert}
	return newBert(s, "##", wordPieceChars, true)
}

// isBracketed knows the tokens that stand for themselves, such as [unused7].
func isBracketed(text string) bool {
	return len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']'
}

func isUpperASCII(r rune) bool { return r >= 'A' && r <= 'Z' }
