package sdktest

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// What the checks ask, of all models the same.
const (
	question = "What is 17 + 25?"
	prompt   = "Count: one, two, three"
	// short is enough to be several chunks and fits the context of the smallest test model.
	short = 24
)

// full keeps the model from ending an answer before it has the length that the checks count on. Both are vLLM's words, sent as the
// SDK sends what it does not know.
func full() option.RequestOption { return option.WithJSONSet("min_tokens", short) }

// endless lets the model pass its own end; nothing is kept from ending an answer but that.
func endless() option.RequestOption { return option.WithJSONSet("ignore_eos", true) }

// sdk is openai-go at work on one bundle of servers.
type sdk struct {
	bundle
	client openai.Client // of the keyed server
}

func TestGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := sdk{b, client(b.keyed, option.WithMaxRetries(0))}
	checks := map[string]func(*testing.T, sdk){
		"chat": chatOnce, "chat_stream": chatStream, "include_usage": includeUsage, "usage": usage, "roles": roles, "parts": parts,
		"completion": completion, "completion_stream": completionStream, "unicode": unicodeEcho, "models": models,
		"logprobs": logprobs, "n": twoAnswers, "stop": stop, "seed": seed, "length": length,
		"bad_key": badKey, "unknown_model": unknownModel, "bad_field": badField, "too_long": tooLong, "no_key": noKey,
		"retry": retry, "cancel": cancelStream,
	}
	for _, name := range core() {
		if checks[name] == nil {
			t.Errorf("openai-go has no check %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) { checks[name](t, s) })
	}
}

// client makes the SDK's client as its README does. What the environment says of OpenAI is overridden.
func client(w weir, o ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(w.base()), option.WithAPIKey(w.token()), option.WithHeaderDel("OpenAI-Organization"), option.WithHeaderDel("OpenAI-Project")}, o...)...)
}

// TestBuiltInModelAnswers is the one test that needs what the built-in model knows.
func TestBuiltInModelAnswers(t *testing.T) {
	t.Parallel()
	if otherModel() != "" {
		t.Skip("WEIR_SDKTEST_MODEL names another model than the built-in one")
	}
	c := client(start(t, false, ""))
	got, err := c.Chat.Completions.New(t.Context(), greedy(openai.UserMessage("What is 17 + 25?")))
	if err != nil {
		t.Fatal(describe(err))
	}
	if text := got.Choices[0].Message.Content; !strings.Contains(text, "42") {
		t.Errorf("17 + 25: %q, want an answer with 42", text)
	}
}

// greedy asks for a short answer at temperature 0.
func greedy(messages ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: messages, Temperature: openai.Float(0), MaxTokens: openai.Int(short)}
}

// ask gets a plain answer.
func (s sdk) ask(t *testing.T, p openai.ChatCompletionNewParams, o ...option.RequestOption) *openai.ChatCompletion {
	t.Helper()
	got, err := s.client.Chat.Completions.New(t.Context(), p, o...)
	if err != nil {
		t.Fatal(describe(err))
	}
	return got
}

// stream gets all chunks of an answer.
func (s sdk) stream(t *testing.T, p openai.ChatCompletionNewParams, o ...option.RequestOption) []openai.ChatCompletionChunk {
	t.Helper()
	var out []openai.ChatCompletionChunk
	stream := s.client.Chat.Completions.NewStreaming(t.Context(), p, o...)
	for stream.Next() {
		out = append(out, stream.Current())
	}
	if err := stream.Err(); err != nil {
		t.Fatal(describe(err))
	}
	return out
}

// join gives the text of the choices of index 0 and how they finished.
func join(chunks []openai.ChatCompletionChunk) (text, finish string) {
	for _, c := range chunks {
		for _, choice := range c.Choices {
			text += choice.Delta.Content
			finish += choice.FinishReason
		}
	}
	return text, finish
}

func chatOnce(t *testing.T, s sdk) {
	got := s.ask(t, greedy(openai.UserMessage(question)), full())
	if !strings.HasPrefix(got.ID, "chatcmpl-") || got.Object != "chat.completion" || got.Model != model || got.Created == 0 {
		t.Errorf("head: %s", got.RawJSON())
	}
	if len(got.Choices) != 1 || got.Choices[0].Index != 0 || got.Choices[0].Message.Role != "assistant" || got.Choices[0].Message.Content == "" {
		t.Errorf("choices: %s", got.RawJSON())
	}
}

func chatStream(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	whole := s.ask(t, p, full())
	chunks := s.stream(t, p, full())
	text, finish := join(chunks)
	if want := whole.Choices[0]; text != want.Message.Content || finish != want.FinishReason {
		t.Errorf("streamed %q (%s), plain %q (%s)", text, finish, want.Message.Content, want.FinishReason)
	}
	if len(chunks) < 3 || chunks[0].Choices[0].Delta.Role != "assistant" || chunks[len(chunks)-1].Choices[0].FinishReason == "" {
		t.Errorf("%d chunks, the first %s", len(chunks), chunks[0].RawJSON())
	}
	var sum openai.ChatCompletionAccumulator
	for _, c := range chunks {
		if c.ID != chunks[0].ID || c.Object != "chat.completion.chunk" || !sum.AddChunk(c) {
			t.Errorf("the chunk does not follow the others: %s", c.RawJSON())
		}
	}
	if got := sum.Choices[0].Message.Content; got != text {
		t.Errorf("the SDK's accumulator has %q, want %q", got, text)
	}
}

func includeUsage(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	want := s.ask(t, p, full()).Usage
	for _, c := range s.stream(t, p, full()) {
		if c.JSON.Usage.Valid() || len(c.Choices) == 0 {
			t.Errorf("usage was not asked for: %s", c.RawJSON())
		}
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	chunks := s.stream(t, p, full())
	last := chunks[len(chunks)-1]
	for _, c := range chunks[:len(chunks)-1] {
		if c.JSON.Usage.Valid() {
			t.Errorf("usage before the end: %s", c.RawJSON())
		}
	}
	if len(last.Choices) != 0 || last.Usage.PromptTokens != want.PromptTokens || last.Usage.CompletionTokens != want.CompletionTokens || last.Usage.TotalTokens != want.TotalTokens {
		t.Errorf("the last chunk is %s, want the usage %s", last.RawJSON(), want.RawJSON())
	}
}

func usage(t *testing.T, s sdk) {
	got := s.ask(t, greedy(openai.UserMessage(question)), full()).Usage
	want := s.keyed.tokens(t, map[string]any{"messages": []any{map[string]any{"role": "user", "content": question}}})
	if got.PromptTokens != want || got.CompletionTokens != short || got.TotalTokens != want+short {
		t.Errorf("usage %s; /tokenize counts %d, max_tokens is %d", got.RawJSON(), want, short)
	}
}

func roles(t *testing.T, s sdk) {
	check := func(messages ...openai.ChatCompletionMessageParamUnion) {
		t.Helper()
		got := s.ask(t, greedy(messages...), full())
		want := s.keyed.tokens(t, map[string]any{"messages": messages})
		if got.Usage.PromptTokens != want {
			t.Errorf("%d prompt tokens, /tokenize counts %d", got.Usage.PromptTokens, want)
		}
	}
	check(openai.SystemMessage("Be brief."), openai.UserMessage(question))
	check(openai.DeveloperMessage("Be brief."), openai.UserMessage(question))
	check(openai.SystemMessage("Be brief."), openai.UserMessage("Hello"), openai.AssistantMessage("Hello!"), openai.UserMessage(question))
}

func parts(t *testing.T, s sdk) {
	list := func(texts ...string) openai.ChatCompletionNewParams {
		var content []openai.ChatCompletionContentPartUnionParam
		for _, text := range texts {
			content = append(content, openai.TextContentPart(text))
		}
		return greedy(openai.UserMessage(content))
	}
	plain := s.ask(t, greedy(openai.UserMessage(question)), full())
	one := s.ask(t, list(question), full())
	if one.Choices[0].Message.Content != plain.Choices[0].Message.Content || one.Usage.PromptTokens != plain.Usage.PromptTokens {
		t.Errorf("one part gives %s, a string %s", one.RawJSON(), plain.RawJSON())
	}
	if two := s.ask(t, list(question, "And 3 + 4?"), full()); two.Usage.PromptTokens <= one.Usage.PromptTokens {
		t.Errorf("two parts have %d prompt tokens, one of them %d", two.Usage.PromptTokens, one.Usage.PromptTokens)
	}
}

func logprobs(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	p.Logprobs, p.TopLogprobs = openai.Bool(true), openai.Int(3)
	// Probabilities are the model's own, from which min_tokens then takes the end: only without it is the likeliest chosen.
	for _, tok := range s.ask(t, p, endless()).Choices[0].Logprobs.Content {
		top := tok.TopLogprobs
		falls := slices.IsSortedFunc(top, func(a, b openai.ChatCompletionTokenLogprobTopLogprob) int { return cmp.Compare(b.Logprob, a.Logprob) })
		if len(top) != 3 || !falls || top[0].Token != tok.Token || top[0].Logprob != tok.Logprob || tok.Logprob > 0 {
			t.Errorf("at temperature 0 the chosen token is the likeliest: %s", tok.RawJSON())
		}
	}
	choice := s.ask(t, p, full()).Choices[0]
	if n := len(choice.Logprobs.Content); n != short {
		t.Errorf("log-probabilities of %d tokens, want %d", n, short)
	}
	var text []byte
	for _, tok := range choice.Logprobs.Content {
		if special(tok.Token) {
			continue
		}
		for _, b := range tok.Bytes {
			text = append(text, byte(b))
		}
	}
	if want := choice.Message.Content; utf8.Valid(text) && string(text) != want {
		t.Errorf("the tokens' bytes are %q, the content %q", text, want)
	}
	c := continuation(prompt)
	c.Logprobs = openai.Int(2)
	got := s.complete(t, c, full()).Choices[0]
	if l := got.Logprobs; len(l.Tokens) != short || len(l.TokenLogprobs) != short || len(l.TopLogprobs) != short || len(l.TextOffset) != short || len(l.TopLogprobs[0]) < 2 {
		t.Errorf("log-probabilities of a completion: %s", got.RawJSON())
	}
	tokens := strings.Join(slices.DeleteFunc(slices.Clone(got.Logprobs.Tokens), special), "")
	if !strings.Contains(tokens, "bytes:") && tokens != got.Text { // bytes: is how parts of characters are told
		t.Errorf("the tokens are %q, the text %q", got.Logprobs.Tokens, got.Text)
	}
}

// special reports whether a token is a mark of conversations, which is told as a token and left out of the text.
func special(token string) bool {
	return strings.HasPrefix(token, "<|") && strings.HasSuffix(token, "|>")
}

func twoAnswers(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	one := s.ask(t, p, full()).Choices[0].Message.Content
	p.N = openai.Int(2)
	got := s.ask(t, p, full())
	if len(got.Choices) != 2 || got.Usage.CompletionTokens != 2*short {
		t.Fatalf("n 2 gives %s", got.RawJSON())
	}
	streamed := map[int64]string{}
	for _, c := range s.stream(t, p, full()) {
		for _, choice := range c.Choices {
			streamed[choice.Index] += choice.Delta.Content
		}
	}
	for i, choice := range got.Choices {
		if choice.Index != int64(i) || choice.Message.Content != one || streamed[choice.Index] != one {
			t.Errorf("choice %d is %q, streamed %q; alone it was %q", choice.Index, choice.Message.Content, streamed[choice.Index], one)
		}
	}
}

func stop(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	whole := s.ask(t, p, endless()).Choices[0].Message.Content
	end, want := cut(t, whole)
	p.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"never in there", end}}
	got := s.ask(t, p, endless()).Choices[0]
	if got.Message.Content != want || got.FinishReason != "stop" {
		t.Errorf("stopped before %q: %q (%s), want %q", end, got.Message.Content, got.FinishReason, want)
	}
	p.Stop = openai.ChatCompletionNewParamsStopUnion{OfString: openai.String(end)}
	if text, finish := join(s.stream(t, p, endless())); text != want || finish != "stop" {
		t.Errorf("streamed, stopped before %q: %q (%s), want %q", end, text, finish, want)
	}
}

// cut takes a piece from the middle of an answer as a stop string, and says what is left before it.
func cut(t *testing.T, whole string) (end, before string) {
	t.Helper()
	runes := []rune(whole)
	for i := len(runes) / 2; i+2 <= len(runes); i++ {
		end = string(runes[i : i+2])
		if !strings.ContainsRune(end, utf8.RuneError) {
			before, _, _ = strings.Cut(whole, end)
			return end, before
		}
	}
	t.Fatalf("the answer %q has no two characters to stop at", whole)
	return "", ""
}

func seed(t *testing.T, s sdk) {
	ask := func(seed int64) string {
		p := greedy(openai.UserMessage(question))
		p.Temperature, p.Seed = openai.Float(2), openai.Int(seed)
		return s.ask(t, p, full()).Choices[0].Message.Content
	}
	// 24 tokens at temperature 2 are the same by chance for models that are surer than 1 in 10^6 of every one; no model here is.
	if a, again, other := ask(1), ask(1), ask(2); a != again || a == other {
		t.Errorf("seed 1 gives %q and %q, seed 2 %q", a, again, other)
	}
}

func length(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	p.MaxTokens = openai.Int(3)
	least := option.WithJSONSet("min_tokens", 3)
	check := func(p openai.ChatCompletionNewParams) {
		t.Helper()
		got := s.ask(t, p, least)
		if got.Choices[0].FinishReason != "length" || got.Usage.CompletionTokens != 3 {
			t.Errorf("max 3: %s", got.RawJSON())
		}
		if _, finish := join(s.stream(t, p, least)); finish != "length" {
			t.Errorf("streamed, it finished with %q", finish)
		}
	}
	check(p)
	p.MaxTokens, p.MaxCompletionTokens = p.MaxCompletionTokens, p.MaxTokens
	check(p)
}
