package openai

import (
	"reflect"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestTokenizeBodies(t *testing.T) {
	t.Parallel()
	check := func(body string, want Tokenize) {
		t.Helper()
		got, err := DecodeTokenize([]byte(body), Options{})
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		if got.Chat != nil {
			got.Chat = &llm.Request{Task: got.Chat.Task, Template: got.Chat.Template, Messages: got.Chat.Messages}
			got.Chat.Messages[0].Raw = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads %+v, want %+v", body, got, want)
		}
	}
	chat := func(t llm.Template) *llm.Request {
		return &llm.Request{Template: t, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, "a")}}
	}
	const messages = `"messages":[{"role":"user","content":"a"}]`
	check(`{"prompt":"a"}`, Tokenize{Text: "a", AddSpecial: true})
	check(`{"model":"m","prompt":"","add_special_tokens":false,"return_token_strs":true}`, Tokenize{Model: "m", Strings: true})
	check(`{"prompt":"a","messages":null}`, Tokenize{Text: "a", AddSpecial: true})
	check(`{`+messages+`}`, Tokenize{Chat: chat(llm.Template{})})
	check(`{`+messages+`,"add_special_tokens":true,"return_token_strs":true}`, Tokenize{AddSpecial: true, Strings: true, Chat: chat(llm.Template{AddSpecial: true, ReturnTokenStrings: true})})
	check(`{`+messages+`,"add_generation_prompt":false}`, Tokenize{Chat: chat(llm.Template{NoGenerationPrompt: true})})
	check(`{`+messages+`,"continue_final_message":true}`, Tokenize{Chat: chat(llm.Template{ContinueFinal: true})})
	check(`{`+messages+`,"chat_template_kwargs":{"a":1},"tools":[],"media_io_kwargs":{},"mm_processor_kwargs":{}}`, Tokenize{Chat: chat(llm.Template{Kwargs: []byte(`{"a":1}`)})})
}

func TestTokenizeBodiesAreRefused(t *testing.T) {
	t.Parallel()
	refuse := func(err error, body, param, problem string) {
		t.Helper()
		if got := llm.AsError(err); err == nil || got.Kind != llm.Invalid || got.Param != param || !strings.Contains(got.Message, problem) {
			t.Errorf("%s: %v, want param %q and %q", body, err, param, problem)
		}
	}
	check := func(body, param, problem string) {
		t.Helper()
		_, err := DecodeTokenize([]byte(body), Options{})
		refuse(err, body, param, problem)
	}
	const messages = `"messages":[{"role":"user","content":"a"}]`
	check(`{"prompt":"a",`+messages+`}`, "prompt", "both given")
	check(`{"model":"m"}`, "prompt", "missing")
	check(`{"prompt":["a"]}`, "prompt", "a string")
	check(`{"prompt":"a","add_generation_prompt":false}`, "prompt", "belong to messages")
	check(`{"prompt":"a","chat_template_kwargs":{"a":1}}`, "prompt", "belong to messages")
	check(`{`+messages+`,"add_generation_prompt":true,"continue_final_message":true}`, "continue_final_message", "both true")
	check(`{`+messages+`,"chat_template":"x"}`, "chat_template", "not supported")
	check(`{`+messages+`,"tools":[{}]}`, "tools", "cannot call tools")
	check(`{"content":"a"}`, "content", "not a known field")
	check(`{"prompt":"a","return_token_strs":1}`, "return_token_strs", "true or false")

	check = func(body, param, problem string) {
		t.Helper()
		_, err := DecodeDetokenize([]byte(body), Options{})
		refuse(err, body, param, problem)
	}
	check(`{"model":"m"}`, "tokens", "missing")
	check(`{"tokens":"x"}`, "tokens", "a list of token ids")
	check(`{"tokens":[1,-1]}`, "tokens[1]", "0 or more")
	check(`{"tokens":[1],"token":1}`, "token", `did you mean "tokens"?`)
	check(`{"tokens":[`+strings.Repeat("1,", promptTokensMax)+`1]}`, "tokens", "more than 1048576")
}

func TestDetokenizeBodies(t *testing.T) {
	t.Parallel()
	got, err := DecodeDetokenize([]byte(`{"model":"m","tokens":[ 5, 0 ]}`), Options{})
	if err != nil || !reflect.DeepEqual(got, Detokenize{Model: "m", Tokens: []llm.TokenID{5, 0}}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := DecodeDetokenize([]byte(`{"tokens":[]}`), Options{}); err != nil || len(got.Tokens) != 0 {
		t.Errorf("no tokens: %+v, %v", got, err)
	}
}

func TestApplyTemplateTakesAChat(t *testing.T) {
	t.Parallel()
	r, err := DecodeApplyTemplate([]byte(`{"messages":[{"role":"user","content":"a"}],"temperature":0.5,"add_generation_prompt":false}`), Options{})
	if err != nil || r.Model != "" || !r.Template.NoGenerationPrompt || len(r.Messages) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := DecodeApplyTemplate([]byte(`{"messages":[{"role":"user","content":"a"}],"tools":[{}]}`), Options{}); err == nil {
		t.Error("tools are accepted")
	}
}

func TestTokenizeAnswers(t *testing.T) {
	t.Parallel()
	check := func(got []byte, want string) {
		t.Helper()
		if string(got) != "x"+want {
			t.Errorf("got  %s\nwant x%s", got, want)
		}
	}
	x := []byte("x")
	check(AppendTokenize(x, []llm.TokenID{1, 22}, nil, 4096), `{"count":2,"max_model_len":4096,"tokens":[1,22],"token_strs":null}`)
	check(AppendTokenize(x, []llm.TokenID{1, 22}, []string{"<s>", "\xff\""}, 8), `{"count":2,"max_model_len":8,"tokens":[1,22],"token_strs":["<s>","\ufffd\""]}`)
	check(AppendTokenize(x, nil, []string{}, 8), `{"count":0,"max_model_len":8,"tokens":[],"token_strs":[]}`)
	check(AppendDetokenize(x, "a\nb"), `{"prompt":"a\nb"}`)
	check(AppendApplyTemplate(x, "<|user|>"), `{"prompt":"<|user|>"}`)
	check(AppendModel(x, ModelEntry{ID: "m", Created: 7, OwnedBy: "weir", ContextLength: 2048}), `{"id":"m","object":"model","created":7,"owned_by":"weir","max_model_len":2048}`)
	check(AppendModels(x, nil), `{"object":"list","data":[]}`)
	check(AppendModels(x, []ModelEntry{{ID: "a"}, {ID: "b"}}),
		`{"object":"list","data":[{"id":"a","object":"model","created":0,"owned_by":""},{"id":"b","object":"model","created":0,"owned_by":""}]}`)
}

func TestErrorBodies(t *testing.T) {
	t.Parallel()
	check := func(err *llm.Error, want string) {
		t.Helper()
		if got := string(AppendError(nil, err)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	check(llm.InvalidField("stop[1]", `stop[1] is "x"`), `{"error":{"message":"stop[1] is \"x\"","type":"invalid_request_error","param":"stop[1]","code":null}}`)
	check(&llm.Error{Kind: llm.TooLong, Message: "long", Param: "messages"}, `{"error":{"message":"long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`)
	check(&llm.Error{Kind: llm.Invalid, Message: "x", Code: "finer"}, `{"error":{"message":"x","type":"invalid_request_error","param":null,"code":"finer"}}`)
	check(&llm.Error{Kind: llm.UnknownModel, Message: "m"}, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"model_not_found"}}`)
	secret := &llm.Error{Op: "engine", Kind: llm.Internal, Err: &llm.Error{Message: "secret"}}
	if got := string(AppendError(nil, secret)); strings.Contains(got, "secret") || strings.Contains(got, "engine\"") || !strings.Contains(got, `"type":"server_error"`) {
		t.Errorf("a cause reaches the client: %s", got)
	}
}
