package token

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
)

// The tokenizer.model of SentencePiece is a protocol buffer, ModelProto of google/sentencepiece (src/sentencepiece_model.proto).
// Few fields matter, so they are read here by hand; others are skipped.

// wire reads protocol buffers. The first fault stops it and stays in err.
type wire struct {
	b   []byte
	err error
}

// The wire types that SentencePiece's messages use.
const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
	wireFixed4 = 5
)

func (w *wire) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
	w.b = nil
}

func (w *wire) varint() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.fail("a number is cut off or longer than 64 bits")
		return 0
	}
	w.b = w.b[n:]
	return v
}

// field is one field of a message: num is its number, and the one that fits its type holds its value.
type field struct {
	num   int
	kind  int
	value uint64 // wireVarint, wireFixed8, wireFixed4
	data  []byte // wireBytes
}

// bool and float read a value as the message says it is typed.
func (f field) bool() bool     { return f.value != 0 }
func (f field) float() float32 { return math.Float32frombits(uint32(f.value)) }

// int is an int32, which negative numbers fill up to 64 bits.
func (f field) int() int64 { return int64(int32(f.value)) }

// next gives the next field; false at the end and after a fault.
func (w *wire) next() (field, bool) {
	if len(w.b) == 0 {
		return field{}, false
	}
	key := w.varint()
	f := field{num: int(key >> 3 & 0x1FFFFFFF), kind: int(key & 7)}
	switch f.kind {
	case wireVarint:
		f.value = w.varint()
	case wireFixed8, wireFixed4:
		size := 4
		if f.kind == wireFixed8 {
			size = 8
		}
		if len(w.b) < size {
			w.fail("field %d is cut off", f.num)
			break
		}
		for i := size - 1; i >= 0; i-- {
			f.value = f.value<<8 | uint64(w.b[i])
		}
		w.b = w.b[size:]
	case wireBytes:
		size := w.varint()
		if size > uint64(len(w.b)) {
			w.fail("field %d says it has %d bytes, but %d are left", f.num, size, len(w.b))
			break
		}
		f.data, w.b = w.b[:size], w.b[size:]
	default:
		w.fail("field %d has the wire type %d, which is unknown", f.num, f.kind)
	}
	return f, w.err == nil
}

// pieceModel is what a tokenizer.model says.
type pieceModel struct {
	texts  []string
	kinds  []kind
	scores []float32

	algorithm     int64 // 1 Unigram, 2 BPE, 3 word, 4 char
	suffix        bool  // the space belongs to the end of a word
	unk, bos, eos int64
	pad           int64

	charsmap    []byte
	dummyPrefix bool
	collapse    bool
	escape      bool
}

const (
	algorithmUnigram = 1
	algorithmBPE     = 2
)

// readPieceModel reads the message. Defaults are those of the proto file.
func readPieceModel(b []byte) (*pieceModel, error) {
	m := &pieceModel{algorithm: algorithmUnigram, unk: 0, bos: 1, eos: 2, pad: -1, dummyPrefix: true, collapse: true, escape: true}
	w := wire{b: b}
	for f, ok := w.next(); ok; f, ok = w.next() {
		if f.num <= 3 && f.kind != wireBytes {
			return nil, fmt.Errorf("field %d has the wire type %d, want a message", f.num, f.kind)
		}
		var err error
		switch f.num {
		case 1:
			err = m.piece(f.data)
		case 2:
			err = m.trainerSpec(f.data)
		case 3:
			err = m.normalizerSpec(f.data)
		}
		if err != nil {
			return nil, err
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if len(m.texts) == 0 {
		return nil, fmt.Errorf("it has no pieces")
	}
	return m, nil
}

func (m *pieceModel) piece(b []byte) error {
	text, k, score := "", kindNormal, float32(0)
	w := wire{b: b}
	for f, ok := w.next(); ok; f, ok = w.next() {
		switch {
		case f.num == 1 && f.kind == wireBytes:
			text = string(f.data)
		case f.num == 2 && f.kind == wireFixed4:
			score = f.float()
		case f.num == 3 && f.kind == wireVarint:
			if f.value < uint64(kindNormal) || f.value > uint64(kindByte) {
				return fmt.Errorf("piece %d has the type %d; known are 1 to 6", len(m.texts), f.value)
			}
			k = kind(f.value)
		}
	}
	if w.err != nil {
		return fmt.Errorf("piece %d: %w", len(m.texts), w.err)
	}
	if score != score {
		return fmt.Errorf("piece %d has no number as its score", len(m.texts))
	}
	m.texts, m.kinds, m.scores = append(m.texts, text), append(m.kinds, k), append(m.scores, score)
	return nil
}

func (m *pieceModel) trainerSpec(b []byte) error {
	w := wire{b: b}
	for f, ok := w.next(); ok; f, ok = w.next() {
		if f.kind != wireVarint {
			continue
		}
		switch f.num {
		case 3:
			m.algorithm = f.int()
		case 24:
			m.suffix = f.bool()
		case 40:
			m.unk = f.int()
		case 41:
			m.bos = f.int()
		case 42:
			m.eos = f.int()
		case 43:
			m.pad = f.int()
		}
	}
	if w.err != nil {
		return fmt.Errorf("trainer_spec: %w", w.err)
	}
	return nil
}

func (m *pieceModel) normalizerSpec(b []byte) error {
	w := wire{b: b}
	for f, ok := w.next(); ok; f, ok = w.next() {
		switch {
		case f.num == 2 && f.kind == wireBytes:
			m.charsmap = f.data
		case f.num == 3 && f.kind == wireVarint:
			m.dummyPrefix = f.bool()
		case f.num == 4 && f.kind == wireVarint:
			m.collapse = f.bool()
		case f.num == 5 && f.kind == wireVarint:
			m.escape = f.bool()
		}
	}
	if w.err != nil {
		return fmt.Errorf("normalizer_spec: %w", w.err)
	}
	return nil
}

// fromPieces builds a tokenizer from a tokenizer.model and what tokenizer_config.json beside it says.
func fromPieces(b []byte, sp special) (*Tokenizer, error) {
	m, err := readPieceModel(b)
	if err != nil {
		return nil, fmt.Errorf("not a SentencePiece model: %w", err)
	}
	switch {
	case m.algorithm != algorithmUnigram && m.algorithm != algorithmBPE:
		return nil, fmt.Errorf("SentencePiece model type %d is not supported; supported are 1 (Unigram) and 2 (BPE)", m.algorithm)
	case m.suffix:
		return nil, fmt.Errorf("SentencePiece with treat_whitespace_as_suffix is not supported")
	case !m.escape:
		return nil, fmt.Errorf("SentencePiece without escape_whitespaces is not supported")
	}
	s := spec{texts: m.texts, kinds: m.kinds, scores: m.scores, flags: map[ID]addedToken{}}
	for _, special := range []struct {
		id *ID
		at int64
	}{{&s.unk, m.unk}, {&s.bos, m.bos}, {&s.eos, m.eos}} {
		*special.id = none
		if special.at >= 0 && special.at < int64(len(m.texts)) {
			*special.id = ID(special.at)
		}
	}
	if err := s.put(sp.added); err != nil {
		return nil, err
	}
	if err := s.name(sp); err != nil {
		return nil, err
	}
	s.specials = s.namesOf()
	maps.Copy(s.specials, sp.texts)
	// What stands around a text: Llama's tokenizers, which are nearly all that come as a tokenizer.model, begin with BOS.
	s.addBOS = s.bos != none && truth(sp.addBOS, true)
	s.addEOS = s.eos != none && truth(sp.addEOS, false)
	front := frontNever
	if m.dummyPrefix {
		if front = frontSpecial; !truth(sp.legacy, true) {
			front = frontFirst
		}
	}
	marks := spaced{front: front, collapse: m.collapse, whole: true}
	if s.norm = marks.apply; !marks.collapse {
		s.shrinks = 1
	}
	if len(m.charsmap) > 0 {
		table, err := readCharsmap(m.charsmap)
		if err != nil {
			return nil, err
		}
		s.norm, s.shrinks = func(text string, at place) string { return marks.apply(table.apply(text), at) }, 0
	}
	build := func() (*Tokenizer, error) { return newSentencePiece(s, true, m.dummyPrefix) }
	if m.algorithm == algorithmUnigram {
		build = func() (*Tokenizer, error) { return newUnigram(s, m.dummyPrefix, true) }
	}
	t, err := build()
	if err == nil {
		t.marksEmpty = front != frontNever
	}
	return t, err
}
