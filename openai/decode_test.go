package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	check := func(members, param, problem string) {
		t.Helper()
		body := []byte(`{"model":"m","messages":[{"role":"user","content":"hi"}],` + members + `}`)
		_, err := DecodeChat(body, Options{})
		if got := llm.AsError(err); err == nil || got.Param != param || !strings.Contains(got.Message, problem) {
			t.Errorf("%.200s: %.300v, want param %q and %q", members, err, param, problem)
		}
		if _, err := DecodeChat(body, Options{IgnoreUnknown: true}); err != nil {
			t.Errorf("%.200s, unknown fields ignored: %v", members, err)
		}
	}
	check(`"temprature":1`, "temprature", `did you mean "temperature"?`)
	check(`"Max_Tokens":1`, "Max_Tokens", `did you mean "max_tokens"?`)
	check(`"maxtokens":1`, "maxtokens", `did you mean "max_tokens"?`)
	check(`"topp":null`, "topp", `did you mean "top_p"?`)
	check(`"zzzzzz":1`, "zzzzzz", `"zzzzzz" is not a known field; leave it out`)
	check(`"":1`, "", `"" is not a known field`)
	check(`"num_ctx":4096`, "num_ctx", `not a known field; leave it out`)
	check(`"prompt":"x"`, "prompt", "prompt is a field of /v1/completions")
	check(`"suffix":"x"`, "suffix", "suffix is a field of /v1/completions")
	check(`"stream":true,"stream_options":{"include_usages":true}`, "stream_options.include_usages", `did you mean "include_usage"?`)
	check(fmt.Sprintf(`"%s":1`, strings.Repeat("x", 1e6)), strings.Repeat("x", 100), `x"... is not`)
	check(fmt.Sprintf(`"%s":1`, strings.Repeat("ä", 101)), strings.Repeat("ä", 50), "is not a known field")

	_, err := DecodeCompletion([]byte(`{"model":"m","prompt":"x","messages":[]}`), Options{})
	if err == nil || !strings.Contains(err.Error(), "messages is a field of /v1/chat/completions") {
		t.Errorf("messages in a completion: %v", err)
	}
	// What is documented stays refused, also where unknown fields are ignored.
	_, err = DecodeCompletion([]byte(`{"model":"m","prompt":"x","suffix":"y"}`), Options{IgnoreUnknown: true})
	if err == nil || llm.AsError(err).Param != "suffix" {
		t.Errorf("suffix where unknown fields are ignored: %v", err)
	}
}

func TestBodiesThatAreNoRequest(t *testing.T) {
	t.Parallel()
	check := func(body, problem string) {
		t.Helper()
		decoders := map[string]func() error{
			"chat":           func() error { _, err := DecodeChat([]byte(body), Options{}); return err },
			"completion":     func() error { _, err := DecodeCompletion([]byte(body), Options{}); return err },
			"tokenize":       func() error { _, err := DecodeTokenize([]byte(body), Options{}); return err },
			"detokenize":     func() error { _, err := DecodeDetokenize([]byte(body), Options{}); return err },
			"apply-template": func() error { _, err := DecodeApplyTemplate([]byte(body), Options{}); return err },
		}
		for name, decode := range decoders {
			err := decode()
			if got := llm.AsError(err); err == nil || got.Kind != llm.Invalid || !strings.Contains(got.Message, problem) {
				t.Errorf("%s of %.60q: %v, want %q", name, body, err, problem)
			}
		}
	}
	check(``, "empty")
	check(`hello`, "cannot begin a value")
	check(`[]`, "must be a JSON object, but it is a list ([])")
	check(`null`, "must be a JSON object, but it is null")
	check(`"x"`, "must be a JSON object")
	check(`{"model":"m"} x`, "more after the JSON value")
	check(`{"model":"m","model":"n"}`, "comes twice")
	check(`{}`, "missing")
}

// bounded checks that a list or an object of most entries is taken and one of one more is not.
func bounded(t *testing.T, name string, most int, body func(n int) string, decode func([]byte, Options) (*llm.Request, error), param string) {
	t.Helper()
	if _, err := decode([]byte(body(most)), Options{}); err != nil {
		t.Errorf("%s of %d: %v", name, most, err)
	}
	_, err := decode([]byte(body(most+1)), Options{})
	if got := llm.AsError(err); err == nil || got.Kind != llm.Invalid || got.Param != param || !strings.Contains(got.Message, fmt.Sprint(most)) {
		t.Errorf("%s of %d: %v, want param %q and the bound in the message", name, most+1, err, param)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	items := func(n int, item func(i int) string) string {
		s := make([]string, n)
		for i := range s {
			s[i] = item(i)
		}
		return strings.Join(s, ",")
	}
	same := func(item string) func(int) string { return func(int) string { return item } }
	chat := func(member string) string {
		return `{"model":"m","messages":[{"role":"user","content":"hi"}],` + member + `}`
	}
	const hi = `{"role":"user","content":"hi"}`
	bounded(t, "messages", messagesMax, func(n int) string { return `{"model":"m","messages":[` + items(n, same(hi)) + `]}` }, DecodeChat, "messages")
	bounded(t, "parts", partsMax, func(n int) string {
		return `{"model":"m","messages":[{"role":"user","content":[` + items(n, same(`{"type":"text","text":"a"}`)) + `]}]}`
	}, DecodeChat, "messages[0].content")
	bounded(t, "calls", callsMax, func(n int) string {
		return `{"model":"m","messages":[{"role":"assistant","tool_calls":[` + items(n, same(`{"function":{"name":"f","arguments":"{}"}}`)) + `]}]}`
	}, DecodeChat, "messages[0].tool_calls")
	bounded(t, "stops", stopsMax, func(n int) string { return chat(`"stop":[` + items(n, same(`"a"`)) + `]`) }, DecodeChat, "stop")
	bounded(t, "stop's bytes", stopBytesMax, func(n int) string { return chat(`"stop":"` + strings.Repeat("x", n) + `"`) }, DecodeChat, "stop")
	bounded(t, "stop tokens", stopTokensMax, func(n int) string { return chat(`"stop_token_ids":[` + items(n, same(`1`)) + `]`) }, DecodeChat, "stop_token_ids")
	bounded(t, "bias", biasMax, func(n int) string {
		return chat(`"logit_bias":{` + items(n, func(i int) string { return fmt.Sprintf(`"%d":1`, i) }) + `}`)
	}, DecodeChat, "logit_bias")
	pairs := func(i int) string { return fmt.Sprintf(`"k%d":"v"`, i) }
	bounded(t, "metadata", metadataMax, func(n int) string { return chat(`"metadata":{` + items(n, pairs) + `}`) }, DecodeChat, "metadata")
	bounded(t, "metadata's key", metadataKeyMax, func(n int) string { return chat(`"metadata":{"` + strings.Repeat("k", n) + `":""}`) }, DecodeChat, "metadata")
	bounded(t, "metadata's value", metadataValueMax, func(n int) string { return chat(`"metadata":{"k":"` + strings.Repeat("v", n) + `"}`) }, DecodeChat, "metadata.k")
	bounded(t, "kwargs", kwargsMax, func(n int) string { return chat(`"chat_template_kwargs":{` + items(n, pairs) + `}`) }, DecodeChat, "chat_template_kwargs")
	bounded(t, "user", textMax, func(n int) string { return chat(`"user":"` + strings.Repeat("u", n) + `"`) }, DecodeChat, "user")
	bounded(t, "n", choicesMax, func(n int) string { return chat(fmt.Sprintf(`"n":%d`, n)) }, DecodeChat, "n")
	bounded(t, "top_logprobs", logprobsMax, func(n int) string { return chat(fmt.Sprintf(`"logprobs":true,"top_logprobs":%d`, n)) }, DecodeChat, "top_logprobs")

	bounded(t, "prompts", choicesMax, func(n int) string { return `{"model":"m","prompt":[` + items(n, same(`"a"`)) + `]}` }, DecodeCompletion, "prompt")
	bounded(t, "a prompt's tokens", promptTokensMax, func(n int) string { return `{"model":"m","prompt":[` + items(n, same(`1`)) + `]}` }, DecodeCompletion, "prompt")
	two := func(n int) string { return fmt.Sprintf(`{"model":"m","n":%d,"prompt":["a","b"]}`, n) }
	if _, err := DecodeCompletion([]byte(two(choicesMax/2)), Options{}); err != nil {
		t.Errorf("two prompts of %d answers: %v", choicesMax/2, err)
	}
	if _, err := DecodeCompletion([]byte(two(choicesMax/2+1)), Options{}); err == nil || !strings.Contains(err.Error(), "130 answers in all") {
		t.Errorf("two prompts of %d answers: %v", choicesMax/2+1, err)
	}
}
