package openai

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/weir-ai/weir/llm"
)

// Options say how strictly bodies are read.
type Options struct {
	// IgnoreUnknown lets fields pass that neither OpenAI nor vLLM documents. Documented fields are honoured or refused as ever.
	IgnoreUnknown bool
}

// A field is one row of an endpoint's table: a name that OpenAI or vLLM documents and what Weir does with it. Null is the same as
// leaving the field out, for every field.
//
// A row with read is honoured. Any other is passed where neutral says that the value asks for what happens anyway, and refused
// otherwise; instead says what to do about it. A row without neutral is always refused.
type field struct {
	name    string
	read    func(d *decoder, v value) error
	neutral func(v value) bool
	instead string
}

func honoured(name string, read func(d *decoder, v value) error) field {
	return field{name: name, read: read}
}

func passed(name string, neutral func(v value) bool, instead string) field {
	return field{name: name, neutral: neutral, instead: instead}
}

func refused(name, instead string) field { return field{name: name, instead: instead} }

// decoder reads one body into one request.
type decoder struct {
	o     Options
	req   *llm.Request
	asked asked
}

// asked keeps what only makes sense together with other fields until all of them have been read.
type asked struct {
	messages, prompt    bool
	maxTokens           int64 // 0 where it was not given
	maxCompletionTokens int64
	promptOnly          bool // max_tokens 0
	bestOf              int64
	topLogprobs         int64
	logprobs            bool
	promptLogprobs      bool
	streamOptions       bool
	addGenerationPrompt *bool
	safetyIdentifier    string

	// of /tokenize and /detokenize
	text        string
	addSpecial  *bool
	tokenTexts  bool
	tokens      []llm.TokenID
	tokensGiven bool
}

func newDecoder(task llm.Task, body []byte, o Options) *decoder {
	return &decoder{o: o, req: &llm.Request{
		Task: task, N: 1, Sampling: llm.NewSampling(), Report: llm.NewReport(), Body: body, Dialect: llm.DialectOpenAI,
	}}
}

// object checks a body and gives its object.
func object(body []byte) (value, error) {
	if err := check(body); err != nil {
		return nil, err
	}
	start := skipSpace(body, 0)
	v := value(body[start:after(body, start)])
	if !v.object() {
		return nil, llm.Errorf(llm.Invalid, "The body must be a JSON object, but it is %s.", v.describe())
	}
	return v, nil
}

// fields reads every member of the body by its row; elsewhere is another endpoint's table, for the message about a field that
// belongs there.
func (d *decoder) fields(body value, table []field, elsewhere string, other []field) error {
	for name, v := range body.members() {
		i := slices.IndexFunc(table, func(f field) bool { return f.name == name })
		if i < 0 {
			if d.o.IgnoreUnknown {
				continue
			}
			if slices.ContainsFunc(other, func(f field) bool { return f.name == name }) {
				return llm.InvalidField(name, "%s is a field of %s and means nothing here; leave it out.", name, elsewhere)
			}
			return unknown("", name, names(table))
		}
		if v.null() {
			continue
		}
		if err := d.field(&table[i], v); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) field(f *field, v value) error {
	switch {
	case f.read != nil:
		return f.read(d, v)
	case f.neutral == nil:
		return llm.InvalidField(f.name, "%s is not supported; %s.", f.name, f.instead)
	case f.neutral(v):
		return nil
	}
	return llm.InvalidField(f.name, "%s is %s, which is not supported; %s.", f.name, v.describe(), f.instead)
}

func names(table []field) []string {
	out := make([]string, len(table))
	for i := range table {
		out[i] = table[i].name
	}
	return out
}

// unknown is the error for a name that nobody documents, with the nearest that somebody does. Path is the object it stands in, ""
// for the body.
func unknown(path, name string, known []string) error {
	const longest = 100 // of a name that is worth comparing: twice the longest documented one
	full := name
	if path != "" {
		full = path + "." + name
	}
	if len(name) > longest {
		return llm.InvalidField(strings.ToValidUTF8(full[:longest], ""), "%.100q... is not a known field; leave it out.", full)
	}
	best, distance := "", longest
	for _, k := range known {
		if n := levenshtein.Distance(strings.ToLower(name), k, nil); n < distance {
			best, distance = k, n
		}
	}
	// Two thirds of the letters must be right, or the suggestion only confuses.
	if distance*3 > len(name) {
		return llm.InvalidField(full, "%q is not a known field; leave it out, or let the server's configuration say unknown_fields: ignore.", full)
	}
	return llm.InvalidField(full, "%q is not a known field; did you mean %q? Otherwise leave it out, or let the server's configuration say unknown_fields: ignore.", full, best)
}

// onlyKeys refuses members of an object that are not among known.
func (d *decoder) onlyKeys(path string, v value, known ...string) error {
	if d.o.IgnoreUnknown {
		return nil
	}
	for name := range v.members() {
		if !slices.Contains(known, name) {
			return unknown(path, name, known)
		}
	}
	return nil
}

// Neutral values.

func isFalse(v value) bool  { return string(v) == "false" }
func isTrue(v value) bool   { return string(v) == "true" }
func isBool(v value) bool   { return isFalse(v) || isTrue(v) }
func isEmpty(v value) bool  { return (v.list() || v.object()) && v.empty() }
func isNoText(v value) bool { return string(v) == `""` }

// is accepts the number n, however it is written.
func is(n int64) func(v value) bool {
	return func(v value) bool {
		got, err := v.asInt("", n, n)
		return err == nil && got == n
	}
}

// isOneOf accepts the given strings.
func isOneOf(words ...string) func(v value) bool {
	return func(v value) bool { return v.string() && slices.Contains(words, v.text()) }
}

// isListOf accepts a list that holds one string only.
func isListOf(word string) func(v value) bool {
	return func(v value) bool {
		if !v.list() {
			return false
		}
		n := 0
		for _, item := range v.items() {
			if n++; !item.string() || item.text() != word {
				return false
			}
		}
		return n == 1
	}
}

// isTextFormat accepts the response_format that says what holds anyway.
func isTextFormat(v value) bool {
	if !v.object() {
		return false
	}
	n, kind := 0, value(nil)
	for name, member := range v.members() {
		if n++; name == "type" {
			kind = member
		}
	}
	return n == 1 && kind != nil && kind.string() && kind.text() == "text"
}

func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
