package sdktest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// describe tells what the SDK leaves out of an error's text.
func describe(err error) error {
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return fmt.Errorf("%w: %s", err, e.RawJSON())
	}
	return err
}

// wantError checks what the SDK made of an error body.
func wantError(t *testing.T, err error, status int, code, param string) {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.StatusCode != status || e.Code != code || e.Param != param || e.Message == "" || e.Type == "" {
		t.Errorf("got %v, want status %d, code %q, param %q", describe(err), status, code, param)
	}
}

func badKey(t *testing.T, s sdk) {
	for _, key := range []string{"wrong", s.keyed.key + "x", s.keyed.key[:len(s.keyed.key)-1]} {
		_, err := s.client.Chat.Completions.New(t.Context(), greedy(openai.UserMessage(question)), option.WithAPIKey(key))
		wantError(t, err, 401, "invalid_api_key", "")
	}
	_, err := s.client.Models.List(t.Context(), option.WithHeaderDel("Authorization"))
	wantError(t, err, 401, "invalid_api_key", "")
}

func unknownModel(t *testing.T, s sdk) {
	p := greedy(openai.UserMessage(question))
	p.Model = "weir-mimi"
	_, err := s.client.Chat.Completions.New(t.Context(), p)
	wantError(t, err, 404, "model_not_found", "model")
	stream := s.client.Chat.Completions.NewStreaming(t.Context(), p)
	if stream.Next() {
		t.Errorf("a stream of an unknown model begins with %s", stream.Current().RawJSON())
	}
	wantError(t, stream.Err(), 404, "model_not_found", "model")
}

func badField(t *testing.T, s sdk) {
	check := func(param string, o ...option.RequestOption) {
		t.Helper()
		_, err := s.client.Chat.Completions.New(t.Context(), greedy(openai.UserMessage(question)), o...)
		wantError(t, err, 400, "", param)
	}
	check("temperature", option.WithJSONSet("temperature", 9))
	check("temperture", option.WithJSONSet("temperture", 1))
	check("messages", option.WithJSONDel("messages"))
}

func tooLong(t *testing.T, s sdk) {
	_, err := s.client.Chat.Completions.New(t.Context(), greedy(openai.UserMessage(strings.Repeat("17 + 25, ", 20_000))))
	wantError(t, err, 400, "context_length_exceeded", "messages")
	p := continuation(strings.Repeat("17 + 25, ", 20_000))
	_, err = s.client.Completions.New(t.Context(), p)
	wantError(t, err, 400, "context_length_exceeded", "prompt")
}

func noKey(t *testing.T, s sdk) {
	open := client(s.narrow, option.WithMaxRetries(0))
	for _, o := range [][]option.RequestOption{nil, {option.WithHeaderDel("Authorization")}} {
		if _, err := open.Chat.Completions.New(t.Context(), greedy(openai.UserMessage(question)), o...); err != nil {
			t.Error(describe(err))
		}
	}
}

// patience bounds every wait for something that the server must bring about.
const patience = 20 * time.Second

// flood keeps the narrow server's queue full until it is ended: of three clients that ask again at once, one is answered, one waits
// and one is refused.
func (w weir) flood(t *testing.T) (end func()) {
	var over atomic.Bool
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for !over.Load() {
				body := fmt.Sprintf(`{"model":%q,"prompt":%q,"max_tokens":128,"ignore_eos":true}`, model, prompt)
				res, err := http.Post(w.base()+"/completions", "application/json", strings.NewReader(body))
				if err != nil {
					t.Errorf("flood: %v", err)
					return
				}
				var answer bytes.Buffer
				_, _ = answer.ReadFrom(res.Body)
				res.Body.Close()
				if res.StatusCode != 200 && res.StatusCode != 503 {
					t.Errorf("flood: status %d: %s", res.StatusCode, answer.String())
					return
				}
			}
		})
	}
	return func() { over.Store(true); clients.Wait() }
}

func retry(t *testing.T, s sdk) {
	end := s.narrow.flood(t)
	var once sync.Once
	defer once.Do(end)
	p := greedy(openai.UserMessage(question))
	refused := refusal(t, client(s.narrow, option.WithMaxRetries(0)), p)
	wantError(t, refused, 503, "overloaded", "")
	if e, ok := errors.AsType[*openai.Error](refused); ok {
		if after, err := strconv.Atoi(e.Response.Header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("503 with Retry-After %q, want whole seconds", e.Response.Header.Get("Retry-After"))
		}
	}
	// The first answer that the SDK gets is a refusal, in all likelihood; the flood ends with it, and the SDK's next try succeeds.
	for deadline := time.Now().Add(patience); ; {
		var refusals int
		watch := option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			res, err := next(r)
			if err == nil && res.StatusCode == 503 {
				refusals++
				once.Do(end)
			}
			return res, err
		})
		c := client(s.narrow, watch)
		if _, err := c.Chat.Completions.New(t.Context(), p); err != nil {
			t.Fatal(describe(err))
		}
		if refusals > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the SDK was never refused, so that it had nothing to try again")
		}
	}
}

// refusal asks until it is refused.
func refusal(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams) error {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := c.Chat.Completions.New(t.Context(), p); err != nil {
			return err
		}
	}
	t.Fatal("a queue of one was never full under three clients")
	return nil
}

func cancelStream(t *testing.T, s sdk) {
	canceled := func() float64 { return s.keyed.metric(t, "weir_requests_total", `outcome="canceled"`) }
	p := greedy(openai.UserMessage(question))
	// Eight answers as long as fit take a while, so that the client leaves in the middle; where a fast machine ends them before it
	// sees that, they are asked for again.
	p.N, p.MaxTokens = openai.Int(8), openai.Int(s.keyed.room(t))
	before := canceled()
	deadline := time.Now().Add(patience)
	for canceled() == before {
		if time.Now().After(deadline) {
			t.Fatalf("no request was canceled within %s", patience)
		}
		stream := s.client.Chat.Completions.NewStreaming(t.Context(), p, endless())
		for range 3 {
			if !stream.Next() {
				t.Fatalf("the stream ended early: %v", describe(stream.Err()))
			}
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
		for s.keyed.metric(t, "weir_engine_sequences") != 0 || s.keyed.metric(t, "weir_requests_in_flight") != 0 {
			if time.Now().After(deadline) {
				t.Fatalf("sequences are left %s after their client", patience)
			}
		}
	}
	if used := s.keyed.metric(t, "weir_engine_kv_blocks", `state="used"`); used != 0 {
		t.Errorf("%v KV blocks are still used", used)
	}
}
