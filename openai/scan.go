package openai

import (
	"math"
	"strings"

	"github.com/weir-ai/weir/llm"
)

// fieldsUsual is how many members a body has before the list of them grows.
const fieldsUsual = 16

// Scan reads of a body what a request needs that goes on to another engine as it stands: its JSON is checked in one pass, the members
// that routing reads are decoded, and all others are left for the engine to know or to refuse. The request refers to body, which must
// not change after; its Lazy decodes the rest for an engine that lives here.
func Scan(task llm.Task, body []byte, o Options) (*llm.Request, error) {
	fields, err := checked(body, make([]llm.Field, 0, fieldsUsual))
	if err != nil {
		return nil, err
	}
	if start := skipSpace(body, 0); body[start] != '{' {
		return nil, llm.Errorf(llm.Invalid, "The body must be a JSON object, but it is %s.", value(body[start:]).kind())
	}
	r := &llm.Request{Task: task, N: 1, Report: llm.NewReport(), Body: body, Dialect: llm.DialectOpenAI, Fields: fields}
	decode := DecodeChat
	if task == llm.Completion {
		decode = DecodeCompletion
	}
	r.Lazy = llm.NewLazy(func() (*llm.Request, error) { return decode(body, o) })
	for _, f := range fields {
		if err := scanField(r, keyOf(body, f), value(body[f.Value:f.To])); err != nil {
			return nil, err
		}
	}
	if r.Model == "" {
		return nil, modelMissing()
	}
	return r, nil
}

// Fields checks a body that is an object and tells where its members stand.
func Fields(body []byte) ([]llm.Field, error) {
	fields, err := checked(body, make([]llm.Field, 0, fieldsUsual))
	if err == nil && body[skipSpace(body, 0)] != '{' {
		err = llm.Errorf(llm.Invalid, "The body must be a JSON object.")
	}
	return fields, err
}

// keyOf is the key of a field, without its quotes and as it is escaped: the keys that are looked for have no escapes.
func keyOf(body []byte, f llm.Field) []byte {
	return body[f.From+1 : afterText(body, f.From)-1]
}

// scanField reads one member of a body that is passed on.
func scanField(r *llm.Request, key []byte, v value) (err error) {
	if v.null() {
		return nil
	}
	switch string(key) {
	case "model":
		var s string
		if s, err = v.asText("model", textMax); err == nil && s == "" {
			err = llm.InvalidField("model", "model is empty; name one of those that GET /v1/models lists.")
		}
		r.Model = llm.ModelID(s)
	case "stream":
		r.Stream, err = v.asBool("stream")
	case "stream_options":
		if v.object() {
			usage := v.get("include_usage")
			r.Report.Usage = usage != nil && isTrue(usage)
		}
	case "n":
		var n int64
		n, err = v.asInt("n", 1, choicesMax)
		r.N, r.Shape.Whole = int(n), r.Shape.Whole || n > 1
	case "max_tokens", "max_completion_tokens":
		if n, wrong := v.asInt("", 0, math.MaxInt32); wrong == nil {
			r.Limits.MaxTokens = int(n)
		}
	case "messages", "prompt":
		r.Shape.Prompt = max(1, len(v)/bytesPerToken)
		r.Shape.Whole = r.Shape.Whole || len(key) == len("prompt") && !v.string()
	case "continue_tokens":
		r.Going, err = continuation(v)
	case "return_token_ids":
		r.Report.TokenIDs = isTrue(v)
	case "prompt_cache_key":
		if v.string() && len(v) < textMax {
			r.Shape.Session = v.text()
		}
	default:
		r.Shape.Whole = r.Shape.Whole || isOfOnePiece(key, v)
	}
	return err
}

// isOfOnePiece reports whether a member makes an answer that cannot be taken up in its middle: several are weighed against each other,
// its form is held by a grammar that would begin anew, or the last message is its own beginning already.
func isOfOnePiece(key []byte, v value) bool {
	switch string(key) {
	case "best_of":
		return string(v) != "1"
	case "response_format":
		return !isTextFormat(v)
	case "tool_choice":
		return !isOneOf("none", "auto")(v)
	case "echo", "use_beam_search", "continue_final_message":
		return !isFalse(v)
	case "suffix", "grammar", "json_schema", "structured_outputs", "regex", "ebnf":
		return true
	}
	return strings.HasPrefix(string(key), "guided_")
}

// bytesPerToken is what a token of a prompt comes to in a body, quotes and keys included. English has 4 to 5 letters a token, other
// languages fewer letters of more bytes each; routing compares prompts with each other, so that the factor matters little.
const bytesPerToken = 4

// Member is a member of a body's object with the JSON value that it shall have. A nil value takes it out.
type Member struct {
	Name  string
	Value []byte
}

// Get gives the value of a member of a scanned body, nil where it is not there or null.
func Get(body []byte, fields []llm.Field, name string) []byte {
	for _, f := range fields {
		if string(keyOf(body, f)) == name {
			if body[f.Value] == 'n' {
				return nil
			}
			return body[f.Value:f.To]
		}
	}
	return nil
}

// Edit gives a scanned body with members set, in pieces that refer to it: what is not set is not copied, and stays as it was sent.
func Edit(body []byte, fields []llm.Field, set ...Member) [][]byte {
	e := editor{body: body, pieces: append(make([][]byte, 0, 4+2*len(set)), brace[:1])}
	done := 0 // of set, as bits
	for _, f := range fields {
		at := indexOf(set, keyOf(body, f))
		switch {
		case at < 0:
			e.keep(f.From, f.To)
			continue
		case set[at].Value != nil:
			e.keep(f.From, f.Value)
			e.flush()
			e.pieces = append(e.pieces, set[at].Value)
		default:
			e.flush()
		}
		done |= 1 << at
	}
	e.flush()
	for i, m := range set {
		if done&(1<<i) == 0 && m.Value != nil {
			e.pieces = append(e.pieces, e.separator(), quote[:], []byte(m.Name), quoteColon[:], m.Value)
			e.any = true
		}
	}
	e.pieces = append(e.pieces, brace[1:])
	return e.pieces
}

var (
	brace      = [...]byte{'{', '}'}
	comma1     = [...]byte{','}
	quote      = [...]byte{'"'}
	quoteColon = [...]byte{'"', ':'}
)

// editor joins runs of members that stay.
type editor struct {
	body     []byte
	pieces   [][]byte
	from, to int  // the run that is open; none where they are equal
	any      bool // a member is out
}

// keep adds the body's bytes from a member's beginning to the open run.
func (e *editor) keep(from, to int) {
	if e.from == e.to {
		if e.any {
			e.pieces = append(e.pieces, comma1[:])
		}
		e.from = from
	}
	e.to, e.any = to, true
}

// flush closes the open run.
func (e *editor) flush() {
	if e.from < e.to {
		e.pieces = append(e.pieces, e.body[e.from:e.to])
	}
	e.from, e.to = 0, 0
}

func (e *editor) separator() []byte {
	if e.any {
		return comma1[:]
	}
	return nil
}

func indexOf(set []Member, key []byte) int {
	for i := range set {
		if set[i].Name == string(key) {
			return i
		}
	}
	return -1
}

// AppendQuoted appends s as a JSON string.
func AppendQuoted(dst []byte, s string) []byte { return appendString(dst, s) }

// WithUsage is a value of stream_options that asks for the usage at the stream's end and keeps what was there; v is nil where nothing
// was, and must be from a checked body.
func WithUsage(v []byte) []byte {
	if v == nil || !value(v).object() || value(v).empty() {
		return []byte(`{"include_usage":true}`)
	}
	fields, err := checked(v, make([]llm.Field, 0, 4))
	if err != nil {
		return v
	}
	var out []byte
	for _, p := range Edit(v, fields, Member{"include_usage", []byte("true")}) {
		out = append(out, p...)
	}
	return out
}
