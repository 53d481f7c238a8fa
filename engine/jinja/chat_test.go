package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/internal/testdata"
)

// goldenCases is golden-hf/chat/cases.json.
type goldenCases struct {
	Now    string                       `json:"now"`
	Tokens map[string]map[string]string `json:"tokens"`
	Cases  []goldenCase                 `json:"cases"`
}

type goldenCase struct {
	Name                string            `json:"name"`
	Messages            []json.RawMessage `json:"messages"`
	Tools               json.RawMessage   `json:"tools"`
	Documents           json.RawMessage   `json:"documents"`
	AddGenerationPrompt bool              `json:"add_generation_prompt"`
	Kwargs              json.RawMessage   `json:"kwargs"`
}

// TestGoldenChats renders every chat case of every template as transformers did.
func TestGoldenChats(t *testing.T) {
	t.Parallel()
	var golden goldenCases
	decode(t, testdata.Bytes(t, "golden-hf/chat/cases.json"), &golden)
	now, err := time.Parse(time.DateTime, golden.Now)
	if err != nil {
		t.Fatal(err)
	}
	total, equal := 0, 0
	for family, tokens := range golden.Tokens {
		source := testdata.Bytes(t, "chat-templates/"+family+".jinja")
		tmpl, err := Parse(family, string(source))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		var want map[string]json.RawMessage
		decode(t, testdata.Bytes(t, "golden-hf/chat/"+family+".expected.json"), &want)
		for _, c := range golden.Cases {
			total++
			text, err := tmpl.Chat(Chat{
				Messages: c.Messages, Tools: c.Tools, Documents: c.Documents, Kwargs: c.Kwargs, Special: tokens, Now: now,
				AddGenerationPrompt: c.AddGenerationPrompt,
			})
			if fault := against(want[c.Name], text, err); fault != "" {
				t.Errorf("%s, %s: %s", family, c.Name, fault)
				continue
			}
			equal++
		}
	}
	t.Logf("%d of %d chat cases are as transformers renders or refuses them", equal, total)
	if total != 708 {
		t.Errorf("there are %d cases; 708 are known", total)
	}
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// against compares a rendering with the expected text or refusal.
func against(want json.RawMessage, text string, err error) string {
	var wantText string
	if json.Unmarshal(want, &wantText) == nil {
		switch {
		case err != nil:
			return "fails, which transformers renders: " + err.Error()
		case text != wantText:
			return "text differs:\n got " + text + "\nwant " + wantText
		}
		return ""
	}
	var refusal struct {
		Error struct {
			Kind, Message    string
			RaisedByTemplate bool `json:"raised_by_template"`
		}
	}
	if fault := json.Unmarshal(want, &refusal); fault != nil {
		return fault.Error()
	}
	var raised *RaiseError
	switch {
	case err == nil:
		return "renders, which transformers refuses: " + refusal.Error.Message
	case errors.As(err, &raised) != refusal.Error.RaisedByTemplate:
		return "fails otherwise: " + err.Error() + "; want " + refusal.Error.Message
	case raised != nil && raised.Message != refusal.Error.Message:
		return "refuses by " + raised.Message + "; want " + refusal.Error.Message
	}
	var e *Error
	if errors.As(err, &e) && e.Kind != refusal.Error.Kind {
		return "fails by " + e.Kind + "; want " + refusal.Error.Kind
	}
	return ""
}

// TestSampleRequests renders real agents' requests with every template: none may fail but by the template's own words, or
// where the template adds up what is no text.
func TestSampleRequests(t *testing.T) {
	t.Parallel()
	requests, err := filepath.Glob(filepath.Join(testdata.Path(t, "chat-templates/requests"), "*.json"))
	if err != nil || len(requests) == 0 {
		t.Fatalf("no sample requests: %v", err)
	}
	templates, err := filepath.Glob(filepath.Join(testdata.Path(t, "chat-templates"), "*.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	rendered := 0
	for _, path := range templates {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := Parse(filepath.Base(path), string(source))
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range requests {
			text, err := os.ReadFile(request)
			if err != nil {
				t.Fatal(err)
			}
			var body struct {
				Messages []json.RawMessage
				Tools    json.RawMessage
			}
			decode(t, text, &body)
			out, err := tmpl.Chat(Chat{Messages: body.Messages, Tools: body.Tools, AddGenerationPrompt: true})
			var raised *RaiseError
			var e *Error
			switch {
			case err == nil && strings.TrimSpace(out) != "":
				rendered++
			case errors.As(err, &raised):
			case errors.As(err, &e) && e.Kind == typeError:
			default:
				t.Errorf("%s over %s: %v", filepath.Base(path), filepath.Base(request), err)
			}
		}
	}
	t.Logf("%d of %d pairs of template and request are rendered", rendered, len(templates)*len(requests))
	if rendered < len(requests)*len(templates)/2 {
		t.Errorf("only %d of %d pairs of template and request are rendered", rendered, len(templates)*len(requests))
	}
}

// TestContinueFinal compares continued messages and reasoning under its three names with transformers: see
// testdata/make_continue.py.
func TestContinueFinal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/continue.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Templates map[string]string
		Cases     []struct {
			Template string
			Messages []json.RawMessage
			Continue bool
			Text     *string
			Error    string
		}
	}
	decode(t, text, &table)
	continued := 0
	for _, c := range table.Cases {
		tmpl, err := Parse(c.Template, table.Templates[c.Template])
		if err != nil {
			t.Fatal(err)
		}
		out, err := tmpl.Chat(Chat{Messages: c.Messages, ContinueFinal: c.Continue})
		var e *Error
		switch {
		case c.Text != nil && err != nil:
			t.Errorf("%s over %s: %v; want %q", c.Template, c.Messages, err, *c.Text)
		case c.Text != nil && out != *c.Text:
			t.Errorf("%s over %s:\n got %q\nwant %q", c.Template, c.Messages, out, *c.Text)
		case c.Text == nil && (!errors.As(err, &e) || e.Kind != c.Error):
			t.Errorf("%s over %s: %q, %v; want a %s", c.Template, c.Messages, out, err, c.Error)
		case c.Text != nil && c.Continue:
			continued++
		}
	}
	if continued < 50 {
		t.Errorf("only %d messages were continued", continued)
	}
	tmpl, err := Parse("both", "{{ messages[0].content }}")
	if err != nil {
		t.Fatal(err)
	}
	message := json.RawMessage(`{"role":"assistant","content":"x"}`)
	if _, err := tmpl.Chat(Chat{Messages: []json.RawMessage{message}, ContinueFinal: true, AddGenerationPrompt: true}); err == nil {
		t.Error("a prompt both continues a message and begins a new one")
	}
}

func TestChatVariables(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("vars", "{{ a }}{{ b }}{{ c }}{{ messages | length }}{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ strftime_now('%Y') }}")
	if err != nil {
		t.Fatal(err)
	}
	check := func(c Chat, want string) {
		t.Helper()
		c.Now = time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC)
		got, err := tmpl.Chat(c)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%+v gives %q; want %q", c, got, want)
		}
	}
	one := map[string]string{"a": "1", "b": "1", "c": "1"}
	check(Chat{}, "0NoneNoneFalse2024")
	check(Chat{Special: one, Variables: map[string]string{"b": "2", "c": "2"}, Kwargs: json.RawMessage(`{"c":3.0}`)}, "123.00NoneNoneFalse")
	check(Chat{Tools: json.RawMessage(`[]`), Documents: json.RawMessage(`null`), AddGenerationPrompt: true}, "0[]NoneTrue")
	check(Chat{Special: map[string]string{"a": "\xff"}}, "\ufffd0")
	check(Chat{Kwargs: json.RawMessage(`{"tools":[]}`)}, `chat_template_kwargs has "tools"`)
	check(Chat{Kwargs: json.RawMessage(`[]`)}, "chat_template_kwargs is a list")
	check(Chat{Kwargs: json.RawMessage(`{`)}, "chat_template_kwargs is not a JSON value")
	check(Chat{Tools: json.RawMessage(`{}`)}, "tools is a dict")
	check(Chat{Tools: json.RawMessage(`[1]`)}, "tools[0] is a int")
	check(Chat{Documents: json.RawMessage(`["x"]`)}, "documents[0] is a str")
	check(Chat{Messages: []json.RawMessage{json.RawMessage(`"x"`)}}, "messages[0] is a str")
	check(Chat{Messages: []json.RawMessage{json.RawMessage(`{} {}`)}}, "messages[0] is not one JSON value")
	check(Chat{Messages: []json.RawMessage{json.RawMessage(strings.Repeat(`{"a":`, nestingMax+2) + "1" + strings.Repeat("}", nestingMax+2))}}, "nests deeper")
	check(Chat{Messages: []json.RawMessage{json.RawMessage(`{"n":1` + strings.Repeat("0", digitsMax) + `}`)}}, "at most 4300 digits")
}

// TestConcurrentChats renders one template many times at once; run with -race it shows that a Template does not change.
func TestConcurrentChats(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("shared", `{% macro f(x) %}<{{ x | upper }}>{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ f(m.content) }}{% endfor %}{{ ns.n }}{{ messages | map(attribute='content') | sort | join }}`)
	if err != nil {
		t.Fatal(err)
	}
	messages := []json.RawMessage{json.RawMessage(`{"content":"b"}`), json.RawMessage(`{"content":"a"}`)}
	done := make(chan string)
	for range 16 {
		go func() {
			out := ""
			for range 20 {
				text, err := tmpl.Chat(Chat{Messages: messages})
				if err != nil || text != "<B><A>2ab" {
					out = text + " and " + errorText(err)
				}
			}
			done <- out
		}()
	}
	for range 16 {
		if out := <-done; out != "" {
			t.Error(out)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}
