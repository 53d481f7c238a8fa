package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// settings say how the mock answers. They never change: another setting is another snapshot.
type settings struct {
	Delay    time.Duration // before a non-streaming reply / first chunk
	Jitter   float64       // lognormal sigma applied to Delay (0 = fixed)
	Chunks   int           // SSE content chunks
	Interval time.Duration // between chunks
	Tokens   int           // words in the non-streaming reply
	P429     float64       // share answered 429 + Retry-After: 1
	P500     float64       // share answered 500
	PHang    float64       // share that never answers (until the client leaves)
	PCut     float64       // share of streams cut half way (connection reset)
	Slots    int           // >0: at most this many requests are served at once
	Queue    int           // with Slots: waiting room; beyond it 503 at once
}

// scene is a snapshot of settings with what is made from them once rather than for every request.
type scene struct {
	settings
	answer []byte        // the non-streaming reply
	slots  chan struct{} // nil without a limit
}

func newScene(s settings) *scene {
	c := &scene{settings: s, answer: answer(s.Tokens)}
	if s.Slots > 0 {
		c.slots = make(chan struct{}, s.Slots)
	}
	return c
}

// answer is a chat completion of the given number of words.
func answer(tokens int) []byte {
	vocabulary := []string{"alpha", "beta", "gamma", "delta", "token", "stream", "model", "reply"}
	words := make([]string, tokens)
	for i := range words {
		words[i] = vocabulary[i%len(vocabulary)]
	}
	text, err := json.Marshal(map[string]any{
		"id": "chatcmpl-mock0000000000000001", "object": "chat.completion", "created": 1700000000,
		"model": "mock-model", "system_fingerprint": "fp_mock",
		"choices": []any{map[string]any{"index": 0, "message": map[string]any{"role": "assistant", "content": strings.Join(words, " ")},
			"logprobs": nil, "finish_reason": "stop"}},
		"usage": map[string]any{"prompt_tokens": 32, "completion_tokens": tokens, "total_tokens": 32 + tokens},
	})
	if err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return text
}

// with returns the settings changed by a query such as delay=500ms&chunks=10. A key that is none is an error.
func (s settings) with(query url.Values) (settings, error) {
	durations := map[string]*time.Duration{"delay": &s.Delay, "interval": &s.Interval}
	shares := map[string]*float64{"jitter": &s.Jitter, "p429": &s.P429, "p500": &s.P500, "phang": &s.PHang, "pcut": &s.PCut}
	counts := map[string]*int{"chunks": &s.Chunks, "tokens": &s.Tokens, "slots": &s.Slots, "queue": &s.Queue}
	for key := range query {
		var err error
		value := query.Get(key)
		if d, ok := durations[key]; ok {
			*d, err = time.ParseDuration(value)
		} else if f, ok := shares[key]; ok {
			*f, err = strconv.ParseFloat(value, 64)
		} else if n, ok := counts[key]; ok {
			*n, err = strconv.Atoi(value)
		} else {
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}
