package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

// TestTheAccountIsExact checks times, tokens and outcome in the access log and the metrics, to the millisecond.
func TestTheAccountIsExact(t *testing.T) {
	t.Parallel()
	paced := func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		time.Sleep(time.Second)
		_ = emit(llm.Event{Kind: llm.EventPrompt}) // carries nothing
		time.Sleep(time.Second)
		for range 4 {
			if err := emit(llm.Event{Kind: llm.EventDelta, Text: "secret answer"}); err != nil {
				return llm.Usage{}, err
			}
			time.Sleep(100 * time.Millisecond)
		}
		err := emit(llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishLength}})
		return llm.Usage{PromptTokens: 7, CachedTokens: 3, CompletionTokens: 5}, err
	}
	check := func(body string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			plain, k := newKey(t, "team")
			b := door(t, Config{}, paced, k)
			_, stop := b.listenWithin()
			defer stop()
			const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			b.ask(t, "POST", "/v1/chat/completions", body, "Authorization: Bearer "+plain, "X-Request-Id: id-1", "Traceparent: "+trace)
			synctest.Wait()
			var got line
			if err := json.Unmarshal([]byte(b.access.String()), &got); err != nil {
				t.Fatalf("%q: %v", b.access, err)
			}
			want := line{
				Time: "2000-01-01T00:00:00.000Z", Request: "id-1", Trace: trace, Key: k.ID, Tenant: "team", Class: "standard", Model: "m", Endpoint: "embedded", Method: "POST", Route: "/v1/chat/completions",
				Status: 200, Outcome: "ok", Stream: body == streamBody, TTFT: 2000, Duration: 2400, In: 7, Cached: 3, Out: 5, Finish: "length",
			}
			if got != want {
				t.Errorf("the line is\n%+v, want\n%+v", got, want)
			}
			if strings.Contains(b.access.String(), "hello") || strings.Contains(b.access.String(), "secret") || strings.Contains(b.access.String(), plain) {
				t.Errorf("the line tells too much: %s", b.access)
			}
			metrics := b.ask(t, "GET", "/metrics", "").body
			for _, want := range []string{
				`weir_requests_total{model="m",outcome="ok",route="/v1/chat/completions"} 1`,
				`weir_ttft_seconds_count{model="m"} 1`, `weir_ttft_seconds_sum{model="m"} 2`,
				`weir_tpot_seconds_sum{model="m"} 0.1`,
				`weir_request_seconds_sum{model="m",route="/v1/chat/completions"} 2.4`,
				`weir_prompt_tokens_total{model="m"} 7`, `weir_cached_tokens_total{model="m"} 3`, `weir_completion_tokens_total{model="m"} 5`,
				`weir_requests_in_flight 0`, `weir_request_bodies_bytes 0`,
			} {
				if !strings.Contains(metrics, want) {
					t.Errorf("/metrics has no %s:\n%s", want, metrics)
				}
			}
		})
	}
	check(streamBody)
	check(chatBody) // an answer that is not streamed has its first token, too, before its first byte
}

// TestLabelsAreClosed asks for what does not exist, a hundred times over.
func TestLabelsAreClosed(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	b.ask(t, "GET", "/metrics", "")
	for _, name := range strings.Fields(strings.Repeat("made up names ", 30)) {
		name += newID("-")
		b.ask(t, "POST", "/v1/chat/completions", strings.Replace(chatBody, `"m"`, `"`+name+`"`, 1)).wants(t, 404, "model_not_found")
		b.ask(t, "GET", "/v1/models/"+name, "")
		b.ask(t, "GET", "/"+name, "")
		b.ask(t, "PATCH", "/v1/models/"+name, "")
		b.ask(t, "POST", "/tokenize", `{"model":"`+name+`","prompt":"a"}`)
	}
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := len(f.GetMetric()); n > 6 {
			t.Errorf("%s has %d series: %v", f.GetName(), n, f)
		}
	}
	if strings.Contains(b.access.String(), "made-") {
		t.Error("the access log tells names that clients made up")
	}
}

func TestMetricsStandWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "t")
	b := setup(t, Config{KeysRequired: true, AdminApart: true}, says("x"), k)
	b.ask(t, "GET", "/metrics", "", "Authorization: Bearer "+plain).wants(t, 404, "not_found")
	admin := *b
	admin.listen(t, b.AdminHandler())
	// The request above is counted after its answer is out.
	r := admin.ask(t, "GET", "/metrics", "")
	for began := time.Now(); !strings.Contains(r.body, "weir_requests_total") && time.Since(began) < 10*time.Second; {
		r = admin.ask(t, "GET", "/metrics", "")
	}
	if r.status != 200 || !strings.Contains(r.body, "weir_requests_total") {
		t.Errorf("the admin listener gives %d %s", r.status, r.body)
	}
	for _, path := range []string{"/healthz", "/health", "/readyz"} {
		if r := admin.ask(t, "GET", path, ""); r.status != 200 {
			t.Errorf("the admin listener's %s gives %d", path, r.status)
		}
	}
	admin.ask(t, "POST", "/v1/chat/completions", chatBody).wants(t, 404, "not_found")
	waitFor(t, func() bool { return strings.Count(b.access.String(), "none") == 2 }) // the two that were not found
	if access := b.access.String(); strings.Contains(access, "healthz") || strings.Count(access, "\n") != 2 {
		t.Errorf("probes are in the access log: %s", access)
	}
}

func TestIDsAreKeptIfSane(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	check := func(sent string, kept bool) {
		t.Helper()
		got := b.ask(t, "GET", "/healthz", "", "X-Request-Id: "+sent).header.Get("X-Request-Id")
		if (got == sent) != kept || !kept && (len(got) != 36 || !strings.HasPrefix(got, "req_")) {
			t.Errorf("id %q becomes %q", sent, got)
		}
	}
	check("7f9c0c1e-0c4a-4b5e-9a55-0a9f0c1e7f9c", true)
	check("a/b+c=:@._-", true)
	check(strings.Repeat("a", requestIDMax), true)
	check(strings.Repeat("a", requestIDMax+1), false)
	check("a b", false)
	check(`a"b`, false)
	check("é", false)
	check("", false)
}

func TestTracesAreKeptIfValid(t *testing.T) {
	t.Parallel()
	check := func(sent string, kept bool) {
		t.Helper()
		if saneTrace(sent) != kept {
			t.Errorf("%q: kept %v", sent, !kept)
		}
	}
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	check(good, true)
	check("cc"+good[2:]+"-more", true) // a later version
	check("cc"+good[2:]+"more", false)
	check(good+"-more", false)
	check("ff"+good[2:], false)
	check(strings.ToUpper(good), false)
	check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false)
	check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false)
	check(good[:54], false)
	check(strings.Replace(good, "-", "_", 1), false)
	check("cc"+good[2:]+"-"+strings.Repeat("x", 200), false)
	check("", false)
	b := setup(t, Config{}, says("x"))
	if got := b.ask(t, "GET", "/healthz", "", "Traceparent: "+good).header.Get("Traceparent"); got != good {
		t.Errorf("the trace comes back as %q", got)
	}
}

// TestFaultsOfOursAreLoggedOnce, and what clients do wrong is not.
func TestFaultsOfOursAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var fail error
	b := setup(t, Config{}, func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		_ = emit(llm.Event{Kind: llm.EventDelta, Text: "x"})
		return llm.Usage{}, fail
	})
	check := func(err error, want int) {
		t.Helper()
		for _, body := range []string{chatBody, streamBody} {
			before := strings.Count(b.log.String(), "\n")
			fail = err
			id := newID("")
			b.ask(t, "POST", "/v1/chat/completions", body, "X-Request-Id: "+id)
			waitFor(t, func() bool { return strings.Contains(b.access.String(), id) })
			if got := strings.Count(b.log.String(), "\n") - before; got != want {
				t.Errorf("%v is logged %d times", err, got)
			}
			if want == 1 && !strings.Contains(b.log.String(), id) {
				t.Errorf("the log does not name the request: %s", b.log)
			}
		}
	}
	check(errors.New("disk on fire"), 1)
	check(&llm.Error{Kind: llm.Upstream, Err: errors.New("refused")}, 1)
	check(llm.Errorf(llm.TooLong, "long"), 0)
	check(&llm.Error{Kind: llm.Overloaded}, 0)
	check(nil, 0)
}
