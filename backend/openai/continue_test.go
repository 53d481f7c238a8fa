package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// continued gives the body by which a kind goes on with an answer.
func continued(t *testing.T, kind string, task llm.Task, body string, g llm.Continuation) (map[string]json.RawMessage, error) {
	t.Helper()
	r, err := wire.Scan(task, []byte(body), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := quirkOf(kind).continuation(task, r.Body, r.Fields, &g)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	edited := bytes.Join(wire.Edit(r.Body, r.Fields, set...), nil)
	if err := json.Unmarshal(edited, &out); err != nil {
		t.Fatalf("%s: %v", edited, err)
	}
	return out, nil
}

const asked = `{"model":"m","messages":[{"role":"user","content":"hi ] \"x\""}],"continue_tokens":{"prompt":[1],"answer":[2]}}`

func TestContinuationByMessage(t *testing.T) {
	t.Parallel()
	g := llm.Continuation{Text: "so \"far\"\n]", Count: 3}
	for kind, flags := range map[string]bool{"vllm": true, "sglang": true, "llamacpp": false, "tgi": false, "weir": true} {
		out, err := continued(t, kind, llm.Chat, asked, g)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		var messages []map[string]string
		if err := json.Unmarshal(out["messages"], &messages); err != nil || len(messages) != 2 {
			t.Fatalf("%s: %s: %v", kind, out["messages"], err)
		}
		if m := messages[1]; m["role"] != "assistant" || m["content"] != g.Text || len(m) != 2 || messages[0]["content"] != `hi ] "x"` {
			t.Errorf("%s: %v", kind, messages)
		}
		if got := string(out["continue_final_message"]) == "true" && string(out["add_generation_prompt"]) == "false"; got != flags {
			t.Errorf("%s: flags %v, want %v", kind, got, flags)
		}
		if out["continue_tokens"] != nil {
			t.Errorf("%s: another Weir's continuation is still there", kind)
		}
	}
	if out, err := continued(t, "vllm", llm.Chat, `{"model":"m","messages":[ ] }`, g); err != nil || !json.Valid(out["messages"]) || strings.Contains(string(out["messages"]), ",,") {
		t.Errorf("no message before: %v, %v", out, err)
	}
}

func TestContinuationKeepsReasoning(t *testing.T) {
	t.Parallel()
	out, err := continued(t, "vllm", llm.Chat, asked, llm.Continuation{Text: "a", Reasoning: "why"})
	if err != nil || !strings.Contains(string(out["messages"]), `"reasoning_content":"why"`) || !strings.Contains(string(out["messages"]), `"reasoning":"why"`) {
		t.Errorf("%s, %v", out["messages"], err)
	}
}

func TestContinuationByTokens(t *testing.T) {
	t.Parallel()
	g := llm.Continuation{Text: "x", Prompt: []llm.TokenID{1, 22}, Tokens: []llm.TokenID{333}, Count: 1}
	out, err := continued(t, "weir", llm.Chat, asked, g)
	if err != nil || string(out["continue_tokens"]) != `{"prompt":[1,22],"answer":[333]}` {
		t.Errorf("weir: %v, %v", out, err)
	}
	if strings.Contains(string(out["messages"]), "assistant") || out["continue_final_message"] != nil {
		t.Errorf("weir goes on by tokens and by text: %v", out)
	}
	const completion = `{"model":"m","prompt":"on \"ce\""}`
	for kind, want := range map[string]string{"vllm": "[1,22,333]", "sglang": "[1,22,333]", "llamacpp": "[1,22,333]", "tgi": `"on \"ce\"x"`} {
		if out, err := continued(t, kind, llm.Completion, completion, g); err != nil || string(out["prompt"]) != want {
			t.Errorf("%s: %s, %v", kind, out["prompt"], err)
		}
	}
	g.Tokens = nil
	if out, err := continued(t, "vllm", llm.Completion, completion, g); err != nil || string(out["prompt"]) != `"on \"ce\"x"` {
		t.Errorf("without tokens: %s, %v", out["prompt"], err)
	}
}

func TestContinuationThatCannotBe(t *testing.T) {
	t.Parallel()
	const (
		two       = `{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"On"}]}`
		completed = `{"model":"m","prompt":[1,2]}`
	)
	for _, c := range []struct {
		name, kind, body string
		task             llm.Task
		g                llm.Continuation
	}{
		{"it begins anew", "openai", asked, llm.Chat, llm.Continuation{Text: "x"}},
		{"it begins anew", "ollama", asked, llm.Chat, llm.Continuation{Text: "x"}},
		{"it begins anew", "trtllm", completed, llm.Completion, llm.Continuation{Text: "x"}},
		{"only reasoning", "vllm", asked, llm.Chat, llm.Continuation{Reasoning: "x"}},
		{"reasoning is lost", "sglang", asked, llm.Chat, llm.Continuation{Text: "x", Reasoning: "y"}},
		{"reasoning is lost", "llamacpp", asked, llm.Chat, llm.Continuation{Text: "x", Reasoning: "y"}},
		{"white space is lost", "tgi", asked, llm.Chat, llm.Continuation{Text: "x\u2003"}},
		{"two messages of the assistant", "llamacpp", two, llm.Chat, llm.Continuation{Text: "x"}},
		{"ids and text", "vllm", completed, llm.Completion, llm.Continuation{Text: "x"}},
	} {
		_, err := continued(t, c.kind, c.task, c.body, c.g)
		var e *llm.Error
		if !errors.As(err, &e) || e.Fault != llm.FaultTask {
			t.Errorf("%s, %s: %v", c.kind, c.name, err)
		}
	}
	if _, err := continued(t, "vllm", llm.Chat, `{"model":"m","messages":3}`, llm.Continuation{Text: "x"}); llm.AsError(err).Kind != llm.Invalid {
		t.Errorf("messages that are none: %v", err)
	}
}

func TestKindsAgreeWithThemselves(t *testing.T) {
	t.Parallel()
	if last := kinds[len(kinds)-1]; last.name != "openai" || quirkOf("nobody") != quirkOf("openai") {
		t.Errorf("the last row takes what no other does, but it is %q", last.name)
	}
	seen := map[string]bool{}
	for _, q := range kinds {
		switch {
		case seen[q.name]:
			t.Errorf("%s stands twice", q.name)
		case (q.metrics == nil) != (q.load == nil):
			t.Errorf("%s has metrics without names, or names without metrics", q.name)
		case q.continues == fleet.ContinuesTokens && !q.tokenIDs:
			t.Errorf("%s goes on by tokens that it does not tell", q.name)
		case (q.prefill || q.trims || q.thinks) && q.continues == fleet.ContinuesNot:
			t.Errorf("%s says how it goes on, which it does not", q.name)
		case q.name != "openai" && q.owner == "" && q.sign.path == "" && q.hosts == nil:
			t.Errorf("%s cannot be recognised", q.name)
		}
		seen[q.name] = true
	}
	if got := Kinds(); len(got) != len(kinds) || got[0] != "cloud" || got[len(got)-1] != "weir" {
		t.Errorf("kinds %q", got)
	}
}
