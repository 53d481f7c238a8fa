package openai

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// Frame is what is known of one JSON object that a remote engine sent, a chunk of a stream or an answer in one piece, without decoding
// it: what it holds, and where its members stand. It refers to the bytes that Read was given.
type Frame struct {
	raw   []byte
	Holds llm.Holds
	// Text is what the first choice holds of the answer's text, as JSON escapes it: content, or else reasoning or a completion's text.
	Text []byte
	// IDs are the members token_ids and prompt_token_ids of the first choice or of the frame, lists of numbers; nil where there are none.
	IDs, PromptIDs []byte
	Reason         llm.FinishReason // of the first choice that ends
	Error          []byte           // the member error, an object or a string; nil where there is none
	Usage          llm.Usage        // where Holds says so
	Choices        int

	id, model, created, usage, ids, promptIDs llm.Field
	flat                                      bool // an error that stands in the frame itself

	before, behind []byte // of the last frame that held content alone, what stood around its text
}

// ReadLike is Read for the frames of one stream. Most of them differ in their text alone: one that begins and ends as the one before
// holds what that did, and is not walked over again.
func (f *Frame) ReadLike(b []byte) (ok bool) {
	if n := len(b) - len(f.behind); f.before != nil && n >= len(f.before) && bytes.Equal(b[n:], f.behind) && bytes.HasPrefix(b, f.before) && isPlainText(b[len(f.before):n]) {
		text := b[len(f.before):n]
		f.shift(b, text)
		return true
	}
	before, behind := f.before[:0], f.behind[:0]
	ok = f.Read(b)
	if ok && f.Holds == llm.HoldsContent && f.Choices == 1 && f.Text != nil && f.alone() {
		at := cap(b) - cap(f.Text)
		before, behind = append(before, b[:at]...), append(behind, b[at+len(f.Text):]...)
		f.before, f.behind = before, behind
	}
	return ok
}

// shift makes f what it was for the frame before, with another text. What stands before the text stands where it stood; what stands
// behind moved by as much as the text is longer.
func (f *Frame) shift(b, text []byte) {
	by := len(text) - len(f.Text)
	edge := len(f.before)
	for _, m := range []*llm.Field{&f.id, &f.model, &f.created} {
		if m.To > edge {
			m.From, m.Value, m.To = m.From+by, m.Value+by, m.To+by
		}
	}
	f.raw, f.Text = b, text
}

// alone reports whether nothing of the frame but its text can differ from the next one's: no ids of tokens, no log-probabilities that
// were looked at.
func (f *Frame) alone() bool {
	return f.IDs == nil && f.PromptIDs == nil && f.Error == nil && !f.flat && len(f.Text) > 0
}

// isPlainText reports whether b is the inside of one JSON string that is not empty: no quote in it that is not escaped.
func isPlainText(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for i := 0; i < len(b); {
		i += plainRun(b[i:])
		if i == len(b) {
			return true
		}
		switch {
		case b[i] == '\\':
			i += 2
		case b[i] >= utf8.RuneSelf:
			i++
		default:
			return false
		}
	}
	return len(b) > 0 && !endsInEscape(b)
}

// endsInEscape reports whether the last letter of b is a backslash that escapes what follows.
func endsInEscape(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// Read reads b, which must be one JSON object; ok is false where it is not, as far as reading sees.
func (f *Frame) Read(b []byte) (ok bool) {
	*f = Frame{raw: b, before: nil, behind: nil}
	at := spaces(b, 0)
	if at == len(b) || b[at] != '{' {
		return false
	}
	return each(b, at, f.member)
}

// OnlyUsage reports whether the frame tells the usage and nothing else: what a client gets only if it asked.
func (f *Frame) OnlyUsage() bool { return f.Choices == 0 && f.Holds == llm.HoldsUsage }

// member reads one member of the frame.
func (f *Frame) member(key []byte, m llm.Field) bool {
	v := f.raw[m.Value:m.To]
	null := v[0] == 'n'
	switch string(key) {
	case "id":
		f.id = m
	case "model":
		f.model = m
	case "created":
		f.created = m
	case "choices":
		if v[0] != '[' {
			return null
		}
		return items(f.raw, m.Value, f.choice)
	case "usage":
		if !null {
			f.Holds |= llm.HoldsUsage
			f.usage = m
			return v[0] == '{' && each(f.raw, m.Value, f.count)
		}
	case "error":
		if !null {
			f.Error = v
		}
	case "prompt_token_ids":
		f.PromptIDs, f.promptIDs = v, m
	case "object":
		f.flat = string(v) == `"error"`
	}
	return true
}

// count reads one member of usage.
func (f *Frame) count(key []byte, m llm.Field) bool {
	number := func() int {
		n, _ := strconv.Atoi(string(f.raw[m.Value:m.To]))
		return max(n, 0)
	}
	switch string(key) {
	case "prompt_tokens":
		f.Usage.PromptTokens = number()
	case "completion_tokens":
		f.Usage.CompletionTokens = number()
	case "cached_tokens":
		f.Usage.CachedTokens = number()
	case "reasoning_tokens":
		f.Usage.ReasoningTokens = number()
	case "prompt_tokens_details", "completion_tokens_details":
		if f.raw[m.Value] == '{' {
			return each(f.raw, m.Value, f.detail)
		}
	}
	return true
}

// detail reads one member of the details of usage: one level below, and no further.
func (f *Frame) detail(key []byte, m llm.Field) bool {
	switch string(key) {
	case "cached_tokens", "reasoning_tokens":
		return f.count(key, m)
	}
	return true
}

// choice reads one choice; from is where it begins.
func (f *Frame) choice(from, _ int) bool {
	f.Choices++
	return f.raw[from] == '{' && each(f.raw, from, f.choiceMember)
}

func (f *Frame) choiceMember(key []byte, m llm.Field) bool {
	v := f.raw[m.Value:m.To]
	if v[0] == 'n' {
		return true
	}
	switch string(key) {
	case "delta":
		return v[0] == '{' && each(f.raw, m.Value, f.deltaMember)
	case "message":
		f.Holds |= llm.HoldsWhole
		return v[0] == '{' && each(f.raw, m.Value, f.deltaMember)
	case "text":
		f.text(v, llm.HoldsContent)
	case "finish_reason":
		f.Holds |= llm.HoldsFinish
		if f.Reason == "" && v[0] == '"' && len(v) < 40 {
			f.Reason = llm.FinishReason(v[1 : len(v)-1])
		}
	case "token_ids":
		if f.Choices == 1 {
			f.IDs, f.ids = v, m
		}
	case "prompt_token_ids":
		if f.Choices == 1 {
			f.PromptIDs, f.promptIDs = v, m
		}
	}
	return true
}

func (f *Frame) deltaMember(key []byte, m llm.Field) bool {
	v := f.raw[m.Value:m.To]
	switch string(key) {
	case "content", "refusal":
		f.text(v, llm.HoldsContent)
	case "reasoning_content", "reasoning":
		f.text(v, llm.HoldsReasoning)
	case "tool_calls":
		if v[0] == '[' && spaces(v, 1) < len(v)-1 {
			f.Holds |= llm.HoldsToolCall
		}
	case "function_call", "audio":
		if v[0] == '{' {
			f.Holds |= llm.HoldsToolCall
		}
	}
	return true
}

// text notes a text that is not empty; the first choice's is kept, content before reasoning.
func (f *Frame) text(v []byte, holds llm.Holds) {
	if v[0] != '"' || len(v) == 2 {
		if v[0] == '[' && len(v) > 2 {
			f.Holds |= holds // content in parts, as some providers send it
		}
		return
	}
	if f.Choices <= 1 && (f.Text == nil || holds == llm.HoldsContent) {
		f.Text = v[1 : len(v)-1]
	}
	f.Holds |= holds
}

// Rewrite says what of a frame shall be another.
type Rewrite struct {
	Model    []byte // a JSON string; nil leaves it
	ID       []byte // likewise
	Created  int64  // 0 leaves it
	Usage    *llm.Usage
	TokenIDs bool // leave out the ids of tokens, for which only Weir asked
}

// Append appends the frame with rw's changes.
func (f *Frame) Append(dst []byte, rw *Rewrite) []byte {
	var cuts [6]cut
	n := 0
	add := func(m llm.Field, v []byte) {
		if m.To > 0 {
			cuts[n] = cut{m.Value, m.To, v}
			n++
		}
	}
	if rw.Model != nil {
		add(f.model, rw.Model)
	}
	if rw.ID != nil {
		add(f.id, rw.ID)
	}
	if rw.Created != 0 {
		add(f.created, strconv.AppendInt(nil, rw.Created, 10))
	}
	if rw.Usage != nil {
		add(f.usage, appendUsage(nil, *rw.Usage, &llm.Report{}))
	}
	if rw.TokenIDs {
		add(f.ids, []byte("null"))
		add(f.promptIDs, []byte("null"))
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && cuts[j].from < cuts[j-1].from; j-- {
			cuts[j], cuts[j-1] = cuts[j-1], cuts[j]
		}
	}
	at := 0
	for _, c := range cuts[:n] {
		dst = append(append(dst, f.raw[at:c.from]...), c.with...)
		at = c.to
	}
	return append(dst, f.raw[at:]...)
}

// cut is a part of a frame and what takes its place.
type cut struct {
	from, to int
	with     []byte
}

// ID is the answer's id as the frame has it, a JSON string; nil where it has none.
func (f *Frame) ID() []byte {
	if f.id.To == 0 || f.raw[f.id.Value] != '"' {
		return nil
	}
	return f.raw[f.id.Value:f.id.To]
}

// Created is when the answer began, Unix seconds; 0 where the frame does not say.
func (f *Frame) Created() int64 {
	n, _ := strconv.ParseInt(string(f.raw[f.created.Value:f.created.To]), 10, 64)
	return n
}

// Flat reports whether the frame itself is an error, as older vLLM and SGLang send it.
func (f *Frame) Flat() bool { return f.flat }

// Unquote gives the text that a JSON string's inside stands for; b must be from a Frame.
func Unquote(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	quoted := append(append(make([]byte, 0, len(b)+2), '"'), b...)
	quoted = append(quoted, '"')
	if check(quoted) != nil {
		return string(bytes.ToValidUTF8(b, nil)) // an escape that is none: better the letters than nothing
	}
	return string(unquoted(quoted))
}

// TokenList reads a list of token ids; nil where it is none.
func TokenList(b []byte) []llm.TokenID {
	if len(b) < 2 || b[0] != '[' {
		return nil
	}
	out := make([]llm.TokenID, 0, 1+bytes.Count(b, comma1[:]))
	for part := range bytes.SplitSeq(b[1:len(b)-1], comma1[:]) {
		n, err := strconv.ParseInt(string(bytes.TrimSpace(part)), 10, 32)
		if err != nil {
			return nil
		}
		out = append(out, llm.TokenID(n))
	}
	return out
}
