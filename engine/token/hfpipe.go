package token

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// pipeline is what the four stages of a tokenizer.json around its model come to.
type pipeline struct {
	norms     []normalizer
	shrinks   int // Tokenizer.shrinks, of all norms together
	pre       preTokenizer
	byteLevel bool
	split     bool // white space was cut away, so that Metaspace must mark every word
	decodes   decodes
	dropSpace bool
	cleanup   bool

	before, after []ID
}

// decodes is the way in which pieces become text again.
type decodes string

const (
	decodesBytes decodes = "ByteLevel"
	decodesMarks decodes = "Metaspace, or Replace of ▁ by a space"
	decodesWords decodes = "WordPiece"
)

func (f *hfFile) pipeline() (*pipeline, error) {
	p := &pipeline{shrinks: 1}
	if err := p.readNormalizer(f.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if err := p.readPreTokenizer(f.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if err := p.readDecoder(f.Decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	return p, nil
}

func (p *pipeline) normalizer() normalizer {
	if len(p.norms) == 0 {
		return nil
	}
	return func(text string, at place) string {
		for _, n := range p.norms {
			text = n(text, at)
		}
		return text
	}
}

// stage holds the fields of every type of stage; each uses a few.
type stage struct {
	Type          string            `json:"type"`
	Normalizers   []json.RawMessage `json:"normalizers"`
	PreTokenizers []json.RawMessage `json:"pretokenizers"`
	Decoders      []json.RawMessage `json:"decoders"`
	Processors    []json.RawMessage `json:"processors"`

	Pattern    struct{ String, Regex *string } `json:"pattern"`
	Content    string                          `json:"content"`
	Prepend    string                          `json:"prepend"`
	StripLeft  *bool                           `json:"strip_left"`
	StripRight *bool                           `json:"strip_right"`

	CleanText    *bool `json:"clean_text"`
	Chinese      *bool `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lowercase    *bool `json:"lowercase"`

	Behavior         string  `json:"behavior"`
	Invert           bool    `json:"invert"`
	UseRegex         *bool   `json:"use_regex"`
	AddPrefixSpace   *bool   `json:"add_prefix_space"`
	PrependScheme    *string `json:"prepend_scheme"`
	Replacement      *string `json:"replacement"`
	Split            *bool   `json:"split"`
	IndividualDigits bool    `json:"individual_digits"`

	Start, Stop uint
	Prefix      *string `json:"prefix"`
	Cleanup     *bool   `json:"cleanup"`

	Single        []map[string]struct{ ID string } `json:"single"`
	SpecialTokens map[string]struct{ IDs []int64 } `json:"special_tokens"`
	Sep, Cls      []json.RawMessage
}

// stagesMax bounds the stages of a sequence, and how deep sequences nest. Published files have ten at most and nest once; every
// stage goes over every text.
const stagesMax = 32

// each reads raw, and the stages of a sequence one by one.
func each(raw json.RawMessage, f func(stage) error) error {
	left := stagesMax
	return eachOf(raw, &left, f)
}

func eachOf(raw json.RawMessage, left *int, f func(stage) error) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var s stage
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if *left--; *left < 0 {
		return fmt.Errorf("it has more than %d stages", stagesMax)
	}
	if s.Type != "Sequence" {
		return f(s)
	}
	for _, inner := range slices.Concat(s.Normalizers, s.PreTokenizers, s.Decoders, s.Processors) {
		if err := eachOf(inner, left, f); err != nil {
			return err
		}
	}
	return nil
}

func truth(b *bool, missing bool) bool {
	if b == nil {
		return missing
	}
	return *b
}

func (p *pipeline) readNormalizer(raw json.RawMessage) error {
	return each(raw, func(s stage) error {
		n, err := s.normalizer()
		if err == nil {
			p.norms = append(p.norms, n)
			if p.shrinks *= s.shrinks(); p.shrinks > shrinksMax {
				p.shrinks = 0
			}
		}
		return err
	})
}

func (s *stage) normalizer() (normalizer, error) {
	plain := func(f func(string) string) (normalizer, error) {
		return func(text string, _ place) string { return f(text) }, nil
	}
	switch s.Type {
	case "NFC":
		return plain(norm.NFC.String)
	case "NFD":
		return plain(norm.NFD.String)
	case "NFKC":
		return plain(norm.NFKC.String)
	case "NFKD":
		return plain(norm.NFKD.String)
	case "Lowercase":
		return plain(lowerCase)
	case "StripAccents":
		return plain(withoutAccents)
	case "Strip":
		left, right := truth(s.StripLeft, true), truth(s.StripRight, true)
		return plain(func(text string) string {
			if left {
				text = strings.TrimLeftFunc(text, isSpace)
			}
			if right {
				text = strings.TrimRightFunc(text, isSpace)
			}
			return text
		})
	case "Prepend":
		if len(s.Prepend) > prependMax {
			return nil, fmt.Errorf("Prepend of %d bytes is not supported; at most %d are", len(s.Prepend), prependMax)
		}
		return plain(func(text string) string {
			if text == "" {
				return text
			}
			return s.Prepend + text
		})
	case "Replace":
		// What replaces must not be longer in characters, or a few stages could blow a text up without bound.
		content := utf8.RuneCountInString(s.Content)
		if s.Pattern.String != nil && *s.Pattern.String != "" && content <= utf8.RuneCountInString(*s.Pattern.String) {
			return plain(func(text string) string { return strings.ReplaceAll(text, *s.Pattern.String, s.Content) })
		}
		if s.Pattern.Regex != nil && *s.Pattern.Regex == " {2,}" && content <= 2 {
			return plain(func(text string) string { return collapseSpaces(text, s.Content) })
		}
		return nil, fmt.Errorf("Replace of the pattern %s by %q is not supported", s.patternText(), s.Content)
	case "BertNormalizer":
		lower := truth(s.Lowercase, true)
		b := bertNormalizer{clean: truth(s.CleanText, true), chinese: truth(s.Chinese, true), accents: truth(s.StripAccents, lower), lower: lower}
		return b.apply, nil
	}
	return nil, fmt.Errorf("type %q is not supported; supported are NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, BertNormalizer and sequences of them", s.Type)
}

// shrinks is how many bytes of text the stage's normalizer may make one byte of; 0 where it may drop any number. Lower
// case's largest step is K (U+212A, 3 bytes) to k, that of compatibility 𝐀 (U+1D400, 4 bytes) to A; composing makes 2 bytes of the 7
// of U+1FBE U+0308 U+0301.
func (s *stage) shrinks() int {
	switch s.Type {
	case "NFD", "Lowercase":
		return 3
	case "NFC", "NFKC", "NFKD":
		return 4
	case "Prepend":
		return 1
	case "Replace":
		if by := len(s.Content); s.Pattern.String != nil && by > 0 {
			return (len(*s.Pattern.String) + by - 1) / by
		}
	}
	return 0
}

// shrinksMax bounds what the stages come to together; published files stay below 10, and a bound so loose is as good as none.
const shrinksMax = 1024

// prependMax bounds what Prepend puts in front, in bytes; published files prepend one character.
const prependMax = 16

func isSpace(r rune) bool { return classOf(r)&space != 0 }

// collapseSpaces replaces every run of two or more spaces.
func collapseSpaces(text, by string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		n := 0
		for i+n < len(text) && text[i+n] == ' ' {
			n++
		}
		switch {
		case n >= 2:
			out.WriteString(by)
			i += n
		default:
			out.WriteByte(text[i])
			i++
		}
	}
	return out.String()
}

func (s *stage) patternText() string {
	switch {
	case s.Pattern.Regex != nil:
		return fmt.Sprintf("regex %q", *s.Pattern.Regex)
	case s.Pattern.String != nil:
		return fmt.Sprintf("text %q", *s.Pattern.String)
	}
	return "(missing)"
}

func (p *pipeline) readPreTokenizer(raw json.RawMessage) error {
	err := each(raw, func(s stage) error {
		if p.byteLevel && (s.Pattern.Regex == nil || *s.Pattern.Regex != threeDigits) {
			// After ByteLevel text is one character a byte, and some of those characters are digits or letters.
			return fmt.Errorf("%s after ByteLevel is not supported", s.Type)
		}
		switch s.Type {
		case "ByteLevel":
			p.byteLevel = true
			if truth(s.AddPrefixSpace, true) {
				if len(p.pre) > 0 {
					return fmt.Errorf("ByteLevel with add_prefix_space after another pre-tokenizer is not supported")
				}
				p.norms = append(p.norms, func(text string, _ place) string {
					if text == "" || text[0] == ' ' {
						return text
					}
					return " " + text
				})
			}
			if truth(s.UseRegex, true) {
				p.pre = append(p.pre, cutGPT2)
			}
		case "Split":
			c, err := s.cutter()
			if err != nil {
				return err
			}
			p.pre = append(p.pre, c)
		case "Digits":
			if s.IndividualDigits {
				p.pre = append(p.pre, cutDigit)
			} else {
				p.pre = append(p.pre, cutNumberRun)
			}
		case "Punctuation":
			if s.Behavior != "Contiguous" && s.Behavior != "contiguous" {
				return fmt.Errorf("Punctuation with behavior %q is not supported", s.Behavior)
			}
			p.pre = append(p.pre, cutPunctRun)
		case "BertPreTokenizer":
			p.pre = append(p.pre, cutBert)
		case "WhitespaceSplit":
			p.split, p.shrinks = true, 0
			p.norms = append(p.norms, func(text string, _ place) string { return strings.Join(strings.FieldsFunc(text, isSpace), " ") })
		case "Metaspace":
			return p.metaspace(s)
		default:
			return fmt.Errorf("type %q is not supported; supported are ByteLevel, Split, Digits, Punctuation, BertPreTokenizer, WhitespaceSplit, Metaspace and sequences of them", s.Type)
		}
		return nil
	})
	if err == nil && p.split {
		return fmt.Errorf("WhitespaceSplit without a Metaspace after it is not supported")
	}
	return err
}

// front reads how Metaspace puts a mark in front, in its new field and its old one.
func (s *stage) front() (frontMark, error) {
	scheme := "always"
	if s.PrependScheme != nil {
		scheme = *s.PrependScheme
	} else if !truth(s.AddPrefixSpace, true) {
		scheme = "never"
	}
	switch scheme {
	case "always":
		return frontStretch, nil
	case "first":
		return frontFirst, nil
	case "never":
		return frontNever, nil
	}
	return frontNever, fmt.Errorf("Metaspace has prepend_scheme %q; known are always, first and never", scheme)
}

func (p *pipeline) metaspace(s stage) error {
	if s.Replacement != nil && *s.Replacement != spaceMark {
		return fmt.Errorf("Metaspace with replacement %q is not supported; supported is %q", *s.Replacement, spaceMark)
	}
	front, err := s.front()
	if err != nil {
		return err
	}
	if p.split && front != frontStretch {
		return fmt.Errorf("Metaspace after WhitespaceSplit is supported only where it always prepends")
	}
	p.split = false
	p.norms = append(p.norms, spaced{front: front, unlessMarked: true}.apply)
	if truth(s.Split, true) {
		p.pre = append(p.pre, cutSpaceMarks)
	}
	return nil
}

func (p *pipeline) readDecoder(raw json.RawMessage) error {
	return each(raw, func(s stage) error {
		switch s.Type {
		case "ByteLevel":
			p.decodes = decodesBytes
		case "WordPiece":
			p.decodes, p.cleanup = decodesWords, truth(s.Cleanup, true)
			if s.Prefix != nil && *s.Prefix != "##" {
				return fmt.Errorf("WordPiece with prefix %q is not supported", *s.Prefix)
			}
		case "Metaspace":
			front, err := s.front()
			p.decodes, p.dropSpace = decodesMarks, front != frontNever
			return err
		case "Strip":
			if s.Content != " " || s.Start > 1 || s.Stop != 0 {
				return fmt.Errorf("Strip of %q, %d at the start and %d at the end, is not supported", s.Content, s.Start, s.Stop)
			}
			p.dropSpace = s.Start == 1
		case "Replace":
			if s.Pattern.String == nil || *s.Pattern.String != spaceMark || s.Content != " " {
				return fmt.Errorf("Replace of %s by %q is not supported", s.patternText(), s.Content)
			}
			p.decodes = decodesMarks
		case "ByteFallback", "Fuse":
		default:
			return fmt.Errorf("type %q is not supported; supported are ByteLevel, WordPiece, Metaspace, Strip, Replace, ByteFallback and Fuse", s.Type)
		}
		return nil
	})
}

// readPostProcessor finds what is put around a single text.
func (p *pipeline) readPostProcessor(raw json.RawMessage, sp *spec) error {
	return each(raw, func(s stage) error {
		switch s.Type {
		case "ByteLevel":
			return nil
		case "TemplateProcessing":
			return p.template(s, sp)
		case "BertProcessing", "RobertaProcessing":
			for _, side := range []struct {
				raw []json.RawMessage
				ids *[]ID
			}{{s.Cls, &p.before}, {s.Sep, &p.after}} {
				var id int64
				if len(side.raw) != 2 || json.Unmarshal(side.raw[1], &id) != nil || id < 0 || id >= int64(len(sp.texts)) {
					return fmt.Errorf("%s: cls and sep must each be a text and the id of a token", s.Type)
				}
				*side.ids = []ID{ID(id)}
			}
			return nil
		}
		return fmt.Errorf("type %q is not supported; supported are ByteLevel, TemplateProcessing, BertProcessing and RobertaProcessing", s.Type)
	})
}

// template reads TemplateProcessing's form for one text: special tokens, the sequence A, special tokens.
func (p *pipeline) template(s stage, sp *spec) error {
	side, seen := &p.before, false
	for _, item := range s.Single {
		if _, ok := item["Sequence"]; ok {
			if seen {
				return fmt.Errorf("TemplateProcessing has two sequences in its template for one")
			}
			side, seen = &p.after, true
			continue
		}
		tok, ok := item["SpecialToken"]
		if !ok {
			return fmt.Errorf("TemplateProcessing has an item that is neither SpecialToken nor Sequence")
		}
		ids := s.SpecialTokens[tok.ID].IDs
		if len(ids) == 0 {
			return fmt.Errorf("TemplateProcessing names %q, for which special_tokens has no ids", tok.ID)
		}
		for _, id := range ids {
			if id < 0 || id >= int64(len(sp.texts)) {
				return fmt.Errorf("TemplateProcessing gives %q the id %d, but the vocabulary has %d tokens", tok.ID, id, len(sp.texts))
			}
			*side = append(*side, ID(id))
		}
	}
	if !seen {
		return fmt.Errorf("TemplateProcessing has no sequence in its template for one")
	}
	return nil
}
