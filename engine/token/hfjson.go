package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The tokenizer.json of Hugging Face's tokenizers library: a pipeline of a normalizer, a pre-tokenizer, a model, a post-processor
// and a decoder, each one of a closed set of types. There is no written specification; what the fields mean is in the library's
// source (huggingface/tokenizers, tokenizers/src). Whatever this reader does not know is refused with its type.

const (
	typeBPE       = "BPE"
	typeUnigram   = "Unigram"
	typeWordPiece = "WordPiece"
)

type hfFile struct {
	AddedTokens   []hfAdded       `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         hfModel         `json:"model"`
}

type hfAdded struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
}

type hfModel struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
	UnkToken     *string         `json:"unk_token"`
	UnkID        *int64          `json:"unk_id"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	FuseUnk      bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Dropout      *float64        `json:"dropout"`
	MaxChars     *int            `json:"max_input_chars_per_word"`
}

// fromJSON reads a tokenizer.json.
func fromJSON(b []byte, sp special) (*Tokenizer, error) {
	var f hfFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	switch f.Model.Type = f.Model.inferType(); f.Model.Type {
	case typeBPE, typeUnigram, typeWordPiece:
	default:
		return nil, fmt.Errorf("model type %q is not supported; supported are BPE, Unigram and WordPiece", f.Model.Type)
	}
	f.addMissing(sp.added)
	p, err := f.pipeline()
	if err != nil {
		return nil, err
	}
	s, err := f.vocabulary()
	if err != nil {
		return nil, err
	}
	s.norm, s.shrinks, s.pre, s.whole = p.normalizer(), p.shrinks, p.pre, f.Model.IgnoreMerges
	if err := f.specials(&s, sp, p); err != nil {
		return nil, err
	}
	return f.build(s, p)
}

// build makes the tokenizer of the model's type. Pieces must become text again in the way that this package does for it.
func (f *hfFile) build(s spec, p *pipeline) (*Tokenizer, error) {
	want := decodesMarks
	switch {
	case f.Model.Type == typeBPE && p.byteLevel:
		want = decodesBytes
	case f.Model.Type == typeWordPiece:
		want = decodesWords
	}
	if p.decodes != want {
		return nil, fmt.Errorf("decoder: %s does not belong to a %s model with these pre-tokenizers; want %s", p.decodes, f.Model.Type, want)
	}
	switch f.Model.Type {
	case typeBPE:
		return f.newBPE(s, p)
	case typeUnigram:
		s.byteText = true
		return newUnigram(s, p.dropSpace, false)
	}
	chars, prefix := wordPieceChars, "##"
	if f.Model.MaxChars != nil {
		chars = min(*f.Model.MaxChars, wordPieceCharsMax)
	}
	if f.Model.Prefix != nil {
		prefix = *f.Model.Prefix
	}
	return newBert(s, prefix, chars, p.cleanup)
}

// inferType gives the type of a model that does not say it, as files of old versions of the library do not: each type has a
// field that no other has.
func (m *hfModel) inferType() string {
	switch {
	case m.Type != "":
		return m.Type
	case m.Merges != nil:
		return typeBPE
	case bytes.HasPrefix(bytes.TrimSpace(m.Vocab), []byte("[")):
		return typeUnigram
	case m.MaxChars != nil:
		return typeWordPiece
	}
	return ""
}

// addMissing takes the added tokens of tokenizer_config.json that tokenizer.json does not list, as transformers does.
func (f *hfFile) addMissing(added []hfAdded) {
	texts, ids := map[string]bool{}, map[int64]bool{}
	for _, a := range f.AddedTokens {
		texts[a.Content], ids[a.ID] = true, true
	}
	for _, a := range added {
		if !texts[a.Content] && !ids[a.ID] {
			f.AddedTokens = append(f.AddedTokens, a)
		}
	}
}

func (f *hfFile) newBPE(s spec, p *pipeline) (*Tokenizer, error) {
	m := &f.Model
	for _, affix := range []*string{m.Prefix, m.Suffix} {
		if affix != nil && *affix != "" {
			return nil, fmt.Errorf("BPE with continuing_subword_prefix or end_of_word_suffix (%q) is not supported", *affix)
		}
	}
	if m.Dropout != nil && *m.Dropout != 0 {
		return nil, fmt.Errorf("BPE with dropout %v is not supported: its ids are random", *m.Dropout)
	}
	var err error
	if s.merges, err = readMerges(m.Merges); err != nil {
		return nil, err
	}
	if p.byteLevel {
		if len(p.pre) == 0 {
			return nil, fmt.Errorf("byte-level BPE without a pre_tokenizer that cuts words is not supported")
		}
		s.addedAsBytes = true
		return newByteLevel(s)
	}
	return newSentencePiece(s, m.FuseUnk, p.dropSpace)
}

// vocabulary collects texts, kinds and scores from the model and the added tokens.
func (f *hfFile) vocabulary() (spec, error) {
	s := spec{bos: none, eos: none, unk: none, flags: map[ID]addedToken{}}
	entries, err := f.entries()
	if err != nil {
		return s, err
	}
	top := int64(-1)
	for _, e := range entries {
		top = max(top, e.id)
	}
	if n := int64(len(entries) + len(f.AddedTokens)); top >= n+holesMax {
		return s, fmt.Errorf("a token has id %d, but the file has only %d tokens", top, n)
	}
	s.texts, s.kinds = make([]string, top+1), make([]kind, top+1)
	for i := range s.kinds {
		s.kinds[i] = kindUnused
	}
	if f.Model.Type == typeUnigram {
		s.scores = make([]float32, top+1)
	}
	for _, e := range entries {
		if e.id < 0 {
			return s, fmt.Errorf("token %q has id %d", e.text, e.id)
		}
		s.texts[e.id], s.kinds[e.id] = e.text, kindNormal
		if _, isByte := byteOf(e.text); isByte && f.Model.ByteFallback {
			s.kinds[e.id] = kindByte
		}
		if s.scores != nil {
			s.scores[e.id] = e.score
		}
	}
	if err := s.put(f.AddedTokens); err != nil {
		return s, err
	}
	if len(s.texts) == 0 {
		return s, fmt.Errorf("it has no tokens")
	}
	switch m := &f.Model; {
	case m.UnkID != nil:
		if *m.UnkID < 0 || *m.UnkID >= int64(len(s.texts)) {
			return s, fmt.Errorf("unk_id is %d, but the vocabulary has %d tokens", *m.UnkID, len(s.texts))
		}
		s.unk = ID(*m.UnkID)
	case m.UnkToken != nil && *m.UnkToken != "":
		var ok bool
		if s.unk, ok = s.find(*m.UnkToken); !ok {
			return s, fmt.Errorf("unk_token %q is not in the vocabulary", *m.UnkToken)
		}
	}
	return s, nil
}

type hfEntry struct {
	text  string
	id    int64
	score float32
}

// entries reads the model's vocabulary: an object of text to id, or for Unigram a list of text and score.
func (f *hfFile) entries() ([]hfEntry, error) {
	if f.Model.Type != typeUnigram {
		var ids map[string]int64
		if err := json.Unmarshal(f.Model.Vocab, &ids); err != nil {
			return nil, fmt.Errorf("model.vocab: %w", err)
		}
		entries := make([]hfEntry, 0, len(ids))
		for text, id := range ids {
			entries = append(entries, hfEntry{text: text, id: id})
		}
		// By id and text, so that two texts with one id end the same way every time.
		slices.SortFunc(entries, func(a, b hfEntry) int {
			if a.id != b.id {
				if a.id < b.id {
					return -1
				}
				return 1
			}
			return strings.Compare(a.text, b.text)
		})
		return entries, nil
	}
	var list [][]json.RawMessage
	if err := json.Unmarshal(f.Model.Vocab, &list); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	entries := make([]hfEntry, len(list))
	for i, e := range list {
		if len(e) != 2 {
			return nil, fmt.Errorf("model.vocab[%d] has %d values, want a text and a score", i, len(e))
		}
		entries[i].id = int64(i)
		if err := json.Unmarshal(e[0], &entries[i].text); err != nil {
			return nil, fmt.Errorf("model.vocab[%d]: %w", i, err)
		}
		if err := json.Unmarshal(e[1], &entries[i].score); err != nil {
			return nil, fmt.Errorf("model.vocab[%d]: %w", i, err)
		}
	}
	return entries, nil
}

// readMerges reads both forms of a merge list: "a b", and ["a", "b"] since version 0.20 of the library.
func readMerges(raw json.RawMessage) ([]pair, error) {
	if len(raw) == 0 {
		return nil, fmt.Errorf("model.merges is missing")
	}
	rest, _ := bytes.CutPrefix(bytes.TrimSpace(raw), []byte("["))
	if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("[")) {
		var lists [][]string
		if err := json.Unmarshal(raw, &lists); err != nil {
			return nil, fmt.Errorf("model.merges: %w", err)
		}
		merges := make([]pair, len(lists))
		for i, l := range lists {
			if len(l) != 2 {
				return nil, fmt.Errorf("merge %d has %d tokens, want 2", i, len(l))
			}
			merges[i] = pair{l[0], l[1]}
		}
		return merges, nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, fmt.Errorf("model.merges: %w", err)
	}
	return cutMerges(lines)
}

// cutMerges cuts "a b" at its space. A space at the front belongs to the first part.
func cutMerges(lines []string) ([]pair, error) {
	merges := make([]pair, len(lines))
	for i, l := range lines {
		at := -1
		if len(l) > 1 {
			at = strings.IndexByte(l[1:], ' ')
		}
		if at < 0 || at+2 == len(l) {
			return nil, fmt.Errorf("merge %d is %q, want two tokens with a space between", i, l)
		}
		merges[i] = pair{l[:at+1], l[at+2:]}
	}
	return merges, nil
}

// specials finds BOS and EOS and what goes around a text.
func (f *hfFile) specials(s *spec, sp special, p *pipeline) error {
	if err := s.name(sp); err != nil {
		return err
	}
	if err := p.readPostProcessor(f.PostProcessor, s); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	s.before, s.after = p.before, p.after
	if sp.addBOS != nil && s.bos != none {
		s.before = around(s.before, s.bos, *sp.addBOS)
	}
	if sp.addEOS != nil && s.eos != none {
		s.after = around(s.after, s.eos, *sp.addEOS)
	}
	s.addBOS = s.bos != none && len(s.before) > 0 && s.before[0] == s.bos
	return nil
}

// around puts id among the tokens at one end of a text, or takes it away.
func around(ids []ID, id ID, want bool) []ID {
	switch has := slices.Contains(ids, id); {
	case want && !has:
		return append([]ID{id}, ids...)
	case !want && has:
		return slices.DeleteFunc(ids, func(i ID) bool { return i == id })
	}
	return ids
}
