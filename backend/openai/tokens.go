package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// speech is how an engine is asked for the tokens of a text.
type speech int

const (
	// tokensNot: it cannot be asked.
	tokensNot speech = iota
	// tokensVLLM: /tokenize and /detokenize as vLLM has them, and Weir.
	tokensVLLM
	// tokensLlama: the same paths with llama.cpp's words.
	tokensLlama
)

// tokensMax bounds an answer about tokens: a million ids with their texts.
const tokensMax = 32 << 20

// Tokens asks the endpoint on /tokenize or /detokenize, in vLLM's words whatever its own are, and gives its answer. An endpoint whose
// kind has no such thing is a FaultTask.
func (e *Endpoint) Tokens(ctx context.Context, path string, body []byte) ([]byte, error) {
	q := e.quirk.Load()
	fields, err := wire.Fields(body)
	if err != nil {
		return nil, err
	}
	var set []wire.Member
	if e.model != nil {
		set = append(set, wire.Member{Name: "model", Value: e.model})
	}
	switch q.tokens {
	case tokensNot:
		return nil, &llm.Error{Kind: llm.Invalid, Fault: llm.FaultTask, Param: "model", Message: fmt.Sprintf("The endpoint %s cannot be asked for tokens.", e.name)}
	case tokensLlama:
		if wire.Get(body, fields, "messages") != nil {
			return nil, &llm.Error{Kind: llm.Invalid, Fault: llm.FaultTask, Param: "messages", Message: fmt.Sprintf("The endpoint %s tells the tokens of a prompt, not of messages.", e.name)}
		}
		set = append(set, wire.Member{Name: "content", Value: wire.Get(body, fields, "prompt")}, wire.Member{Name: "prompt"},
			wire.Member{Name: "add_special", Value: addSpecial(wire.Get(body, fields, "add_special_tokens"))}, wire.Member{Name: "add_special_tokens"})
	}
	answer, err := e.postTokens(ctx, q, path, bytes.Join(wire.Edit(body, fields, set...), nil))
	if err != nil || q.tokens != tokensLlama {
		return answer, err
	}
	return e.fromLlama(answer)
}

// addSpecial is llama.cpp's default made vLLM's: the start token is added unless that is not wanted.
func addSpecial(v []byte) []byte {
	if v == nil {
		return []byte("true")
	}
	return v
}

func (e *Endpoint) postTokens(ctx context.Context, q *quirk, path string, body []byte) ([]byte, error) {
	u := *e.base
	u.Path, u.RawPath = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/v1"), "/")+path, ""
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host, req.Header = e.host, e.sent.Clone()
	resp, err := e.transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, e.dialFault(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, tokensMax))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, e.dialFault(err)
	case resp.StatusCode != http.StatusOK:
		return nil, classify(q, resp.StatusCode, resp.Header, answer, string(e.name))
	}
	return answer, nil
}

// fromLlama turns llama.cpp's answer into vLLM's.
func (e *Endpoint) fromLlama(answer []byte) ([]byte, error) {
	var a struct {
		Tokens  []llm.TokenID `json:"tokens"`
		Content *string       `json:"content"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Tokens == nil && a.Content == nil {
		return nil, &llm.Error{Op: "endpoint " + string(e.name), Kind: llm.Upstream, Fault: llm.FaultFormat, Message: fmt.Sprintf("The endpoint %s answered about tokens with something else.", e.name), Err: err}
	}
	if a.Content != nil {
		return append(wire.AppendQuoted([]byte(`{"prompt":`), *a.Content), '}'), nil
	}
	out := strconv.AppendInt([]byte(`{"count":`), int64(len(a.Tokens)), 10)
	return append(appendTokens(append(out, `,"max_model_len":null,"tokens":`...), a.Tokens), '}'), nil
}
