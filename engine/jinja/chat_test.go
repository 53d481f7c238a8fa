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
