package flood

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ai/weir/workload"
)

// asked is what a request to the server under test held.
type asked struct {
	Model     string `json:"model"`
	Stream    bool   `json:"stream"`
	MaxTokens int    `json:"max_tokens"`
	IgnoreEOS bool   `json:"ignore_eos"`
	Messages  []struct {
		Content string `json:"content"`
	} `json:"messages"`
	head http.Header
}

func (a asked) prompt() string { return a.Messages[0].Content }

// serve starts a server that answers each chat with answer.
func serve(t *testing.T, answer func(http.ResponseWriter, asked)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a asked
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.URL.Path != "/v1/chat/completions" || len(a.Messages) != 1 {
			t.Errorf("%s %s: %+v, %v", r.Method, r.URL, a, err)
		}
		a.head = r.Header
		answer(w, a)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// stream answers with n pieces and the usage.
func stream(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
	for range n {
		fmt.Fprint(w, ": a comment\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n")
	}
	fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", n)
}

func refuse(w http.ResponseWriter, status int, reason, after string) {
	w.Header().Set("X-Weir-Reason", reason)
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Retry-After-Ms", after)
	w.WriteHeader(status)
	fmt.Fprint(w, `{"error":{"message":"no","type":"overloaded","code":"overloaded"}}`)
}

// every makes n requests with even gaps.
func every(n int, gap time.Duration, change func(int, *workload.Request)) []workload.Request {
	out := make([]workload.Request, n)
	for i := range out {
		out[i] = workload.Request{At: time.Duration(i) * gap, Prompt: 20, Output: 5}
		if change != nil {
			change(i, &out[i])
		}
	}
	return out
}

// options are those of a test: nothing is asked beforehand.
func options(url string, rs []workload.Request) Options {
	return Options{URL: url, Model: "m", TokensPerWord: 1, Requests: slices.Values(rs), For: rs[len(rs)-1].At + 10*time.Millisecond, Timeout: 30 * time.Second,
		Objectives: map[string]Objective{"": {TTFT: time.Minute, TPOT: time.Minute}}}
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	a := r.Total
	if a.Offered+a.Returns != a.Good+a.Late+a.Refused+a.Failed+a.Unfinished {
		t.Errorf("the outcomes do not add up: %+v", a)
	}
	return r
}

func reasonsOf(list []Reason) map[string]int64 {
	out := map[string]int64{}
	for _, r := range list {
		out[r.Label] = r.Count
	}
	return out
}

func TestRunCountsEveryOutcome(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, a asked) {
		switch a.head.Get("X-Kind") {
		case "refuse":
			refuse(w, 503, "predicted_miss", "5")
		case "limit":
			w.WriteHeader(429)
			fmt.Fprint(w, `{"error":{"code":null,"type":"rate_limit_error"}}`)
		case "break":
			w.WriteHeader(500)
			fmt.Fprint(w, "boom")
		case "deny":
			refuse(w, 504, "start_by", "")
		case "cut":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "unended":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
		case "error":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"error\":{\"code\":\"upstream_error\"}}\n\n")
		case "whole":
			fmt.Fprint(w, `{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`)
		default:
			stream(w, 5)
		}
	})
	kinds := []string{"good", "late", "refuse", "limit", "break", "deny", "cut", "unended", "error", "whole"}
	rs := every(100, time.Millisecond, func(i int, r *workload.Request) { r.Class = kinds[i%len(kinds)] })
	o := options(url, rs)
	o.ClassHeader = "X-Kind"
	o.Objectives["late"] = Objective{TTFT: time.Nanosecond}
	o.OutputMax = 3
	r := run(t, o)
	a := r.Total
	if a.Offered != 100 || a.Returns != 0 || a.Good != 20 || a.Late != 10 || a.Refused != 30 || a.Failed != 40 || a.Unfinished != 0 || a.Admitted != 60 {
		t.Errorf("%+v", a)
	}
	if a.OutputTokens != 20*5+10*4+2*10 { // whole streams, whole answers, and what came before the end of two kinds
		t.Errorf("%d tokens of answers", a.OutputTokens)
	}
	if got := fmt.Sprint(reasonsOf(r.Refusals)); got != "map[429 rate_limit_error:10 503 predicted_miss:10 504 start_by:10]" {
		t.Error(got)
	}
	if got := fmt.Sprint(reasonsOf(r.Failures)); got != "map[500:10 cut stream:20 failed stream upstream_error:10]" {
		t.Error(got)
	}
	for _, c := range r.Classes {
		if c.Offered != 10 || c.Name == "good" && c.Good != 10 || c.Name == "deny" && (c.Refused != 10 || c.Refusal.Count != 10) {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Classes) != 10 || r.Fairness != nil || r.Obeying != nil || r.Generator.Lag.Count != 100 {
		t.Errorf("%d classes, fairness %v, obeying %v, %d lags", len(r.Classes), r.Fairness, r.Obeying, r.Generator.Lag.Count)
	}
}

// The server answers nobody until all have come: in a closed loop they never would. The first request's latency is then no less than the
// schedule of all.
func TestTheLoopIsOpenAndLatencyCountsFromTheSchedule(t *testing.T) {
	t.Parallel()
	const n, gap = 50, 4 * time.Millisecond
	var came atomic.Int64
	all := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ asked) {
		if came.Add(1) == n {
			close(all)
		}
		<-all
		stream(w, 2)
	})
	o := options(url, every(n, gap, nil))
	o.Objectives[""] = Objective{TTFT: (n - 1) * gap}
	r := run(t, o)
	if r.Total.Good+r.Total.Late != n || r.Generator.OpenMax != n {
		t.Errorf("%+v, %d open", r.Total, r.Generator.OpenMax)
	}
	if most := ms((n - 1) * gap); r.Total.TTFT.Max < most || r.Total.Late < 1 {
		t.Errorf("the longest took %g ms, and the first came %g ms before the last; %d late", r.Total.TTFT.Max, most, r.Total.Late)
	}
	// Half of them came in the schedule's first half, and waited for at least the second.
	if half := ms((n/2 - 2) * gap); r.Total.TTFT.P50 < half {
		t.Errorf("the median is %g ms; half of them waited for %g and more", r.Total.TTFT.P50, half)
	}
}

func TestObeyingClientsComeBackWhenTheyAreTold(t *testing.T) {
	t.Parallel()
	const wait = 30 * time.Millisecond
	var mu sync.Mutex
	seen := map[string][]time.Time{}
	check := func(obey float64, returns, refusals int) (*Report, map[string][]time.Time) {
		t.Helper()
		mu.Lock()
		clear(seen)
		mu.Unlock()
		url := serve(t, func(w http.ResponseWriter, a asked) {
			mu.Lock()
			seen[a.prompt()] = append(seen[a.prompt()], time.Now())
			n := len(seen[a.prompt()])
			mu.Unlock()
			if n <= refusals {
				refuse(w, 503, "gate_full", fmt.Sprint(wait.Milliseconds()))
				return
			}
			stream(w, 3)
		})
		o := options(url, every(40, time.Millisecond, nil))
		o.Obey, o.Returns = obey, returns
		return run(t, o), seen
	}
	r, tries := check(1, 2, 1)
	if o := r.Obeying; o == nil || *o != (Obeying{Refused: 40, Returned: 40, AdmittedAtFirst: 40, Share: 1}) || r.Total.Returns != 40 || r.Total.Good != 40 || r.Total.Refused != 40 {
		t.Errorf("%+v, %+v", r.Obeying, r.Total)
	}
	for prompt, at := range tries {
		if len(at) != 2 || at[1].Sub(at[0]) < wait-time.Millisecond { // the wait begins when the refusal has come
			t.Errorf("%.20q came at %v", prompt, at)
		}
	}
	if r, _ = check(1, 3, 9); r.Obeying.Refused != 40 || r.Obeying.Returned != 40 || r.Obeying.AdmittedAtFirst != 0 || r.Total.Returns != 120 || r.Total.Refused != 160 {
		t.Errorf("at most three returns: %+v, %+v", r.Obeying, r.Total)
	}
	if r, _ = check(0, 2, 1); r.Obeying != nil || r.Total.Returns != 0 || r.Total.Refused != 40 {
		t.Errorf("nobody obeys: %+v, %+v", r.Obeying, r.Total)
	}
	if r, _ = check(0.5, 2, 1); r.Obeying.Refused < 5 || r.Obeying.Refused > 35 || r.Total.Returns != r.Obeying.Refused {
		t.Errorf("half of them obey: %+v, %+v", r.Obeying, r.Total)
	}
}

func TestTimeoutsCountFromTheSchedule(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, asked) { <-leave })
	t.Cleanup(func() { close(leave) })
	o := options(url, every(10, time.Millisecond, nil))
	o.Timeout = 50 * time.Millisecond
	r := run(t, o)
	if r.Total.Failed != 10 || reasonsOf(r.Failures)["timeout"] != 10 || r.Failures[0].Times.P50 < 49 {
		t.Errorf("%+v, %+v", r.Total, r.Failures)
	}
}

func TestWhatIsNotSentIsCountedAndWarnedOf(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r := run(t, options("http://"+l.Addr().String(), every(5, 0, nil)))
	if reasonsOf(r.Failures)["unsent: connection refused"] != 5 || len(r.Generator.Warnings) == 0 {
		t.Errorf("%+v, %q", r.Failures, r.Generator.Warnings)
	}
	leave := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, asked) { <-leave })
	t.Cleanup(func() { close(leave) })
	o := options(url, every(10, 0, nil))
	o.OpenMax, o.Timeout = 2, 300*time.Millisecond
	r = run(t, o)
	if got := reasonsOf(r.Failures); got["unsent: too many open"] != 8 || got["timeout"] != 2 {
		t.Errorf("two at once of ten: %v", got)
	}
	if text := strings.Join(r.Generator.Warnings, "; "); !strings.Contains(text, "8 requests were not sent") {
		t.Error(text)
	}
}

func TestAnInterruptedRunReports(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	leave := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, a asked) {
		if a.MaxTokens == 7 { // the last one that is sent
			stop()
		}
		if a.MaxTokens > 5 {
			<-leave
		}
		stream(w, 1)
	})
	t.Cleanup(func() { close(leave) })
	rs := every(12, time.Millisecond, func(i int, r *workload.Request) {
		if i >= 8 {
			r.Output = 6
		}
		if i == 10 {
			r.Output = 7
		}
		if i == 11 {
			r.At = time.Hour
		}
	})
	r, err := Run(ctx, options(url, rs))
	if err != nil || !r.Interrupted || r.Total.Offered != 11 || r.Total.Good+r.Total.Unfinished != 11 || r.Total.Unfinished < 3 || r.Seconds > 1800 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRequestsCarryTenantsClassesKeysAndHeaders(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string]int{}
	url := serve(t, func(w http.ResponseWriter, a asked) {
		mu.Lock()
		got[strings.Join([]string{a.head.Get("Authorization"), a.head.Get("X-Weir-Class"), a.head.Get("X-Who"), a.head.Get("X-Extra"), fmt.Sprint(a.IgnoreEOS, a.Stream, a.MaxTokens), a.Model}, "|")]++
		mu.Unlock()
		stream(w, 1)
	})
	rs := every(9, 0, func(i int, r *workload.Request) {
		r.Tenant, r.Class = []string{"a", "b", ""}[i%3], []string{"batch", "interactive", ""}[i%3]
	})
	o := options(url, rs)
	o.Model, o.Keys, o.TenantHeader, o.Headers, o.IgnoreEOS, o.OutputMax = `a "model"`, map[string]string{"a": "KA", "": "K"}, "X-Who", map[string]string{"X-Extra": "e"}, true, 4
	r := run(t, o)
	want := map[string]int{`Bearer KA|batch|a|e|true true 4|a "model"`: 3, `Bearer K|interactive|b|e|true true 4|a "model"`: 3, `Bearer K|||e|true true 4|a "model"`: 3}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	if len(r.Tenants) != 3 || r.Fairness == nil || r.Tenants[0].Good != 3 {
		t.Errorf("%+v", r.Tenants)
	}
}

func TestPromptsAreMadeToLengthAndShareWhatTheirBlocksShare(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var prompts []string
	calls := 0
	url := serve(t, func(w http.ResponseWriter, a asked) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; !a.Stream { // it is learned from: two tokens a word, and seven around each prompt
			if calls == 1 {
				refuse(w, 503, "gate_full", "1")
				return
			}
			fmt.Fprintf(w, `{"usage":{"prompt_tokens":%d}}`, 2*len(strings.Fields(a.prompt()))+7)
			return
		}
		prompts = append(prompts, a.prompt())
		stream(w, 1)
	})
	rs := every(4, 5*time.Millisecond, func(i int, r *workload.Request) {
		r.Prompt, r.Block = 107, 40
		r.Blocks = [][]uint64{{1, 2}, {1, 3}, {1, 2, 4, 5}, nil}[i]
	})
	o := options(url, rs)
	o.TokensPerWord = 0
	r := run(t, o)
	if !strings.Contains(r.Prompts, "2 tokens a word and 7 around") {
		t.Error(r.Prompts)
	}
	shared := func(a, b string) int {
		x, y := strings.Fields(a), strings.Fields(b)
		n := 0
		for n < min(len(x), len(y)) && x[n] == y[n] {
			n++
		}
		return n
	}
	if len(prompts) != 4 {
		t.Fatalf("%d prompts", len(prompts))
	}
	slices.SortFunc(prompts, func(a, b string) int { return shared(b, prompts[0]) - shared(a, prompts[0]) })
	for _, p := range prompts {
		if n := len(strings.Fields(p)); n != 50 { // (107 - 7) / 2
			t.Errorf("%d words: %q", n, p)
		}
	}
	counts := map[int]int{} // words that two of them begin with alike: a block has 20, and chance adds one at most
	for i := range prompts {
		for k := range i {
			counts[shared(prompts[i], prompts[k])/20*20]++
		}
	}
	if fmt.Sprint(counts) != "map[0:3 20:2 40:1]" {
		t.Errorf("%v", counts)
	}
}

func TestAServerWithoutUsageIsAssumed(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, a asked) {
		if a.Stream {
			stream(w, 1)
			return
		}
		fmt.Fprint(w, `{"usage":{"prompt_tokens":32}}`)
	})
	o := options(url, every(1, 0, nil))
	o.TokensPerWord = 0
	if r := run(t, o); !strings.Contains(r.Prompts, "assumed") {
		t.Error(r.Prompts)
	}
}

func TestTheFirstModelIsTaken(t *testing.T) {
	t.Parallel()
	var model atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			if r.Header.Get("Authorization") != "Bearer k1" {
				w.WriteHeader(401) // the keys of tenants are asked with, too
				return
			}
			fmt.Fprint(w, `{"data":[{"id":"one","max_model_len":100},{"id":"two"}]}`)
			return
		}
		text, _ := io.ReadAll(r.Body)
		model.Store(string(text[:bytes.IndexByte(text, ',')]))
		stream(w, 1)
	}))
	defer s.Close()
	o := options(s.URL+"/v1/", every(1, 0, nil))
	o.Model, o.Keys = "", map[string]string{"a": "k1", "b": "k2"}
	if r := run(t, o); r.Model != "one" || model.Load() != `{"model":"one"` || r.Total.Good != 1 || !strings.Contains(r.Prompts, "context of 100 tokens") {
		t.Errorf("%q, %v, %+v", r.Model, model.Load(), r.Total)
	}
	s.Config.Handler = nil
	for _, status := range []int{404, 401} {
		bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		o.URL = bad.URL
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || !strings.Contains(err.Error(), "--model") {
			t.Errorf("a server without models: %v", err)
		}
		bad.Close()
	}
}

// A server may close a connection that waits without a word; what is sent into it then was never taken.
func TestAConnectionThatWasClosedWhileIdleFailsNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(newReader(c))
			if err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				const text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n"
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
			_ = c.Close()
		}
	})
	r := run(t, options("http://"+l.Addr().String(), every(20, 5*time.Millisecond, nil)))
	if r.Total.Good != 20 {
		t.Errorf("%+v, %+v", r.Total, r.Failures)
	}
	_ = l.Close()
	served.Wait()
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	from := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		n := len(from)
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		if n%2 == 0 {
			refuse(w, 503, "gate_full", "1")
			return
		}
		stream(w, 2)
	}))
	defer s.Close()
	r := run(t, options(s.URL, every(40, 5*time.Millisecond, nil)))
	if len(from) > 20 || r.Total.Failed > 0 {
		t.Errorf("%d connections for 40 requests one after another; %+v", len(from), r.Failures)
	}
}

func TestOnlyTheUsersOwnServersAreFlooded(t *testing.T) {
	t.Parallel()
	check := func(url string, own, fine bool) {
		t.Helper()
		o := options(url, every(1, 0, nil))
		o.Own = own
		target, err := newTarget(t.Context(), &o)
		if (err == nil) != fine {
			t.Errorf("%s, own %v: %v", url, own, err)
		}
		if err == nil {
			target.close()
		}
	}
	check("http://127.0.0.1:8080", false, true)
	check("127.0.0.1:8080/v1", false, true)
	check("http://[::1]:8080", false, true)
	check("https://192.0.2.1", false, false)
	check("https://192.0.2.1", true, true)
	check("http://0.0.0.0:80", false, false)
	check("ftp://127.0.0.1", false, false)
	check("http://user@127.0.0.1", false, false)
	check("http://127.0.0.1/?a=b", false, false)
	check("http://", false, false)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	check := func(field string, change func(*Options)) {
		t.Helper()
		o := options("http://127.0.0.1:1", every(1, 0, nil))
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	check("Requests", func(o *Options) { o.Requests = nil })
	check("For", func(o *Options) { o.For = 0 })
	check("Warmup", func(o *Options) { o.Warmup = o.For })
	check("Obey", func(o *Options) { o.Obey = 1.1 })
	check("Returns", func(o *Options) { o.Returns = returnsMax + 1 })
	check("Timeout", func(o *Options) { o.Timeout = -1 })
	check("OpenMax", func(o *Options) { o.OpenMax = openMax + 1 })
	check("OutputMax", func(o *Options) { o.OutputMax = -1 })
	check("Weights", func(o *Options) { o.Weights = map[string]float64{"a": 0} })
	check("Headers", func(o *Options) { o.Headers = map[string]string{"A": "b\r\nC: d"} })
	check("Headers", func(o *Options) { o.Headers = map[string]string{"A B": "c"} })
	check("Headers", func(o *Options) { o.Keys = map[string]string{"": "k\n"} })
	check("Headers", func(o *Options) { o.ClassHeader = "a:" })
	check("Objectives", func(o *Options) { o.Objectives = map[string]Objective{"x": {TTFT: -1}} })
}

func TestParseObjective(t *testing.T) {
	t.Parallel()
	check := func(text, class string, want Objective) {
		t.Helper()
		if c, o, err := ParseObjective(text); err != nil || c != class || o != want {
			t.Errorf("%q: %q %+v, %v", text, c, o, err)
		}
	}
	check("ttft=2s,tpot=200ms", "", Objective{2 * time.Second, 200 * time.Millisecond})
	check("interactive:ttft=1s", "interactive", Objective{TTFT: time.Second})
	check("batch:none", "batch", Objective{})
	for _, bad := range []string{"", "ttft", "ttft=0s", "ttft=x", "total=1s"} {
		if _, _, err := ParseObjective(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	o, err := Options{URL: "x", Requests: slices.Values(every(1, 0, nil)), For: time.Second}.checked()
	if err != nil || o.objective("") != (Objective{2 * time.Second, 200 * time.Millisecond}) || o.objective("batch") != (Objective{}) || o.objective("other") != o.objective("") {
		t.Errorf("%+v, %v", o.Objectives, err)
	}
}

func TestRequestsFitTheContext(t *testing.T) {
	t.Parallel()
	check := func(context, prompt, output, wantPrompt, wantOutput int) {
		t.Helper()
		if p, o := (prompter{context: context}).fit(prompt, output); p != wantPrompt || o != wantOutput {
			t.Errorf("of %d and %d in %d become %d and %d, want %d and %d", prompt, output, context, p, o, wantPrompt, wantOutput)
		}
	}
	check(0, 100_000, 5000, 100_000, 5000)
	check(1000, 700, 150, 700, 150)
	check(1000, 701, 150, 700, 150)
	check(1000, 10, 5000, 10, 425)
	check(1000, 5000, 5000, 425, 425)
	check(1, 5, 5, 1, 1)
}
