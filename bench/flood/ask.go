package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// message is one of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// question is a chat completion to ask for, as a stream.
type question struct {
	model    string
	key      string
	messages []message
	tokens   int               // most of the answer
	headers  map[string]string // beside the usual
	greedy   bool
}

// reply is what came of it.
type reply struct {
	status  int
	whole   bool // the stream ended as it should
	ttft    time.Duration
	tpot    time.Duration // mean of the tokens after the first
	prompt  int           // tokens, by usage
	tokens  int           // of the answer, by usage; by pieces where there is none
	text    string
	variant string // the model that answered in another's place
	err     error  // what went wrong
}

// The objective that weir flood counts by, too.
const (
	objectiveTTFT = 2 * time.Second
	objectiveTPOT = 200 * time.Millisecond
)

// good is what counts: whole, and within the objective.
func (r reply) good() bool { return r.whole && r.ttft <= objectiveTTFT && r.tpot <= objectiveTPOT }

// newClient keeps a connection for each of those who ask at once.
func newClient(at int) *http.Client {
	return &http.Client{Timeout: clientPatience, Transport: &http.Transport{MaxIdleConns: at, MaxIdleConnsPerHost: at}}
}

func (q question) body() ([]byte, error) {
	body := map[string]any{"model": q.model, "messages": q.messages, "max_tokens": q.tokens, "stream": true, "stream_options": map[string]bool{"include_usage": true}}
	if q.greedy {
		body["temperature"] = 0
	}
	return json.Marshal(body)
}

// ask sends a question and hears the answer out.
func (q question) ask(ctx context.Context, client *http.Client, addr string) (r reply) {
	body, err := q.body()
	if err != nil {
		return reply{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+q.key)
	for name, value := range q.headers {
		req.Header.Set(name, value)
	}
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	r.status, r.variant = res.StatusCode, res.Header.Get("X-Weir-Variant")
	if r.status != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, eventMax))
		r.err = fmt.Errorf("status %d: %.300s", r.status, text)
		return r
	}
	r.hear(res.Body, began)
	return r
}

// piece is what of an event counts.
type piece struct {
	Choices []struct {
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// eventMax bounds a line of a stream; an event has a few hundred bytes.
const eventMax = 1 << 20

func (r *reply) hear(body io.Reader, began time.Time) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4096), eventMax)
	var first, last time.Time
	var text bytes.Buffer
	pieces := 0
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		if bytes.Equal(data, []byte("[DONE]")) {
			r.whole = true
			continue
		}
		var p piece
		if err := json.Unmarshal(data, &p); err != nil || p.Error != nil {
			r.err = fmt.Errorf("an event that is no part of an answer: %.200s", data)
			return
		}
		if p.Usage != nil {
			r.prompt, r.tokens = p.Usage.Prompt, p.Usage.Completion
		}
		if len(p.Choices) == 0 || p.Choices[0].Delta.Content == "" {
			continue
		}
		if last = time.Now(); pieces == 0 {
			first = last
		}
		pieces++
		text.WriteString(p.Choices[0].Delta.Content)
	}
	r.err, r.text = lines.Err(), text.String()
	if pieces == 0 {
		r.whole = false
		return
	}
	if r.tokens == 0 {
		r.tokens = pieces
	}
	if r.ttft = first.Sub(began); r.tokens > 1 {
		r.tpot = last.Sub(first) / time.Duration(r.tokens-1)
	}
}
