package openai

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func chatOf(message string) []byte { return []byte(`{"model":"m","messages":[` + message + `]}`) }

func TestMessagesAreRead(t *testing.T) {
	t.Parallel()
	text := func(s ...string) (parts []llm.Part) {
		for _, t := range s {
			parts = append(parts, llm.Part{Kind: llm.PartText, Text: t})
		}
		return parts
	}
	check := func(message string, want llm.Message) {
		t.Helper()
		r, err := DecodeChat(chatOf(message), Options{})
		if err != nil {
			t.Errorf("%s: %v", message, err)
			return
		}
		got := r.Messages[0]
		if string(got.Raw) != message {
			t.Errorf("raw is %s, want %s", got.Raw, message)
		}
		if got.Raw = nil; !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads %+v, want %+v", message, got, want)
		}
	}
	for _, role := range roles {
		check(fmt.Sprintf(`{"role":%q,"content":""}`, role), llm.Message{Role: role, Parts: text("")})
	}
	check(`{ "content" : "h\u00e4\n", "role":"user" , "name":"bob"}`, llm.Message{Role: llm.RoleUser, Parts: text("hä\n"), Name: "bob"})
	check(`{"role":"user","content":[{"text":"a","type":"text"},{"type":"text","text":""}]}`, llm.Message{Role: llm.RoleUser, Parts: text("a", "")})
	check(`{"role":"tool","content":"42","tool_call_id":"c1"}`, llm.Message{Role: llm.RoleTool, Parts: text("42"), ToolCallID: "c1"})
	for _, key := range []string{"reasoning", "reasoning_content", "thinking"} {
		check(fmt.Sprintf(`{"role":"assistant","content":"x",%q:"because"}`, key), llm.Message{Role: llm.RoleAssistant, Parts: text("x"), Reasoning: "because"})
	}
	calls := []llm.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a":1}`}}
	check(`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`,
		llm.Message{Role: llm.RoleAssistant, ToolCalls: calls})
	check(`{"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"a":1}}}]}`, llm.Message{Role: llm.RoleAssistant, ToolCalls: calls})
	// What the official SDKs give back of an answer.
	check(`{"role":"assistant","content":"x","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null}`,
		llm.Message{Role: llm.RoleAssistant, Parts: text("x")})
}

func TestMessagesAreRefused(t *testing.T) {
	t.Parallel()
	check := func(message, param, problem string) {
		t.Helper()
		_, err := DecodeChat(chatOf(`{"role":"user","content":"first"},`+message), Options{})
		if got := llm.AsError(err); err == nil || got.Kind != llm.Invalid || got.Param != "messages[1]"+param || !strings.Contains(got.Message, problem) {
			t.Errorf("%s: %v, want param messages[1]%s and %q", message, err, param, problem)
		}
	}
	check(`"hi"`, "", "an object with role and content")
	check(`{"content":"x"}`, ".role", "missing")
	check(`{"role":"function","content":"x"}`, ".role", `"function"; it is one of`)
	check(`{"role":5,"content":"x"}`, ".role", "a string")
	check(`{"role":"user"}`, ".content", "missing")
	check(`{"role":"user","content":null}`, ".content", "missing")
	check(`{"role":"assistant","content":null,"tool_calls":[]}`, ".content", "missing")
	check(`{"role":"user","content":5}`, ".content", "a string or a list of parts")
	check(`{"role":"user","content":[]}`, ".content", "empty list")
	check(`{"role":"user","content":["x"]}`, ".content[0]", "an object such as")
	check(`{"role":"user","content":[{"text":"x"}]}`, ".content[0].type", "missing")
	check(`{"role":"user","content":[{"type":5}]}`, ".content[0].type", "no string")
	check(`{"role":"user","content":[{"type":"text"}]}`, ".content[0].text", "missing")
	check(`{"role":"user","content":[{"type":"text","text":null}]}`, ".content[0].text", "a string")
	for _, kind := range []string{"image_url", "input_audio", "file", "video_url", "refusal"} {
		check(fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":"x"},{"type":%q,%q:{}}]}`, kind, kind), ".content[1]", kind)
	}
	check(`{"role":"user","content":[{"type":"text","text":"x","cache_control":{}}]}`, ".content[0].cache_control", "not a known field")
	check(`{"role":"user","contents":"x"}`, ".contents", `did you mean "content"?`)
	check(`{"role":"user","content":"x","name":5}`, ".name", "a string")
	check(`{"role":"user","content":"x","tool_call_id":"c"}`, ".tool_call_id", "role tool")
	check(`{"role":"user","content":"x","tool_calls":[{"function":{"name":"f","arguments":""}}]}`, ".tool_calls", "role assistant")
	check(`{"role":"assistant","content":"x","refusal":"no"}`, ".refusal", "not supported")
	check(`{"role":"assistant","content":"x","annotations":[{}]}`, ".annotations", "not supported")
	check(`{"role":"assistant","content":"x","audio":{"id":"a"}}`, ".audio", "not supported")
	check(`{"role":"assistant","content":"x","function_call":{}}`, ".function_call", "not supported")
	check(`{"role":"assistant","content":"x","reasoning":5}`, ".reasoning", "a string")
	check(`{"role":"assistant","content":"x","reasoning":"a","reasoning_content":"b"}`, ".reasoning_content", "differ")
	check(`{"role":"assistant","tool_calls":{}}`, ".tool_calls", "a list of calls")
	check(`{"role":"assistant","tool_calls":[5]}`, ".tool_calls[0]", "an object")
	check(`{"role":"assistant","tool_calls":[{"type":"custom"}]}`, ".tool_calls[0].type", `only "function"`)
	check(`{"role":"assistant","tool_calls":[{"id":5,"function":{"name":"f","arguments":""}}]}`, ".tool_calls[0].id", "a string")
	check(`{"role":"assistant","tool_calls":[{"id":"c"}]}`, ".tool_calls[0].function", "an object")
	check(`{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}`, ".tool_calls[0].function", "name and arguments")
	check(`{"role":"assistant","tool_calls":[{"function":{"name":5,"arguments":""}}]}`, ".tool_calls[0].function.name", "a string")
	check(`{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]}`, ".tool_calls[0].function.arguments", "a string of JSON")
	check(`{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"","x":1}}]}`, ".tool_calls[0].function.x", "not a known field")
}

func TestMessagesKeepWhatTemplatesRead(t *testing.T) {
	t.Parallel()
	const message = `{"weight": 1, "role":"user","content":[ {"type":"text", "text":"a"} ]}`
	r, err := DecodeChat(chatOf(message), Options{IgnoreUnknown: true})
	if err != nil || string(r.Messages[0].Raw) != message {
		t.Errorf("raw is not as it was sent: %v", err)
	}
}
