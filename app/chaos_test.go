package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/llm"
)

// recording is an answer of weir-nano to one prompt, token by token as the engine told it.
type recording struct {
	text   string
	prompt []llm.TokenID
	parts  []recorded
	finish llm.FinishReason
	tokens int // of the answer, the end token included
}

type recorded struct {
	text string
	ids  []llm.TokenID
}

// record has the embedded engine answer greedily, alone.
func record(t *testing.T, runner llm.Runner, content string, tokens int) *recording {
	t.Helper()
	req := &llm.Request{Model: "m", N: 1, Stream: true, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, content)}, Report: llm.NewReport(), Sampling: llm.NewSampling()}
	req.Sampling.Temperature, req.Limits.MaxTokens, req.Report.TokenIDs = 0, tokens, true
	r := &recording{}
	_, err := runner.Run(t.Context(), req, func(e llm.Event) error {
		switch e.Kind {
		case llm.EventPrompt:
			for _, tok := range e.Tokens {
				r.prompt = append(r.prompt, tok.ID)
			}
		case llm.EventDelta:
			p := recorded{text: e.Text}
			for _, tok := range e.Tokens {
				p.ids = append(p.ids, tok.ID)
			}
			r.parts = append(r.parts, p)
			r.text += e.Text
		case llm.EventFinish:
			r.finish = e.Finish.Reason
		case llm.EventUsage:
			r.tokens = e.Usage.CompletionTokens
		}
		return nil
	})
	if err != nil || len(r.parts) == 0 {
		t.Fatalf("recording %q: %d parts, %v", content, len(r.parts), err)
	}
	return r
}

// player is a fake: an endpoint that answers as a Weir does, from recordings. It goes on from tokens, too.
type player struct {
	tape  map[string]*recording // by the content of the last message
	pause time.Duration
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Messages []struct{ Content string }
		Continue *struct{ Answer []int32 } `json:"continue_tokens"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || len(ask.Messages) == 0 {
		http.Error(w, `{"error":{"message":"no messages"}}`, http.StatusBadRequest)
		return
	}
	tape := p.tape[ask.Messages[len(ask.Messages)-1].Content]
	if tape == nil {
		http.Error(w, `{"error":{"message":"not recorded"}}`, http.StatusBadRequest)
		return
	}
	from := 0
	if ask.Continue != nil {
		from = len(ask.Continue.Answer)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	say := func(choices string) bool {
		_, err := fmt.Fprintf(w, "data: {\"id\":\"tape\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[%s]}\n\n", choices)
		return err == nil && out.Flush() == nil
	}
	prompt, _ := json.Marshal(tape.prompt)
	if !say(fmt.Sprintf(`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"prompt_token_ids":%s}`, prompt)) {
		return
	}
	told := 0
	for _, part := range tape.parts {
		if told += len(part.ids); told <= from {
			continue
		}
		select {
		case <-time.After(p.pause):
		case <-r.Context().Done():
			return
		}
		text, _ := json.Marshal(part.text)
		ids, _ := json.Marshal(part.ids)
		if !say(fmt.Sprintf(`{"index":0,"delta":{"content":%s},"finish_reason":null,"token_ids":%s}`, text, ids)) {
			return
		}
	}
	if !say(fmt.Sprintf(`{"index":0,"delta":{},"finish_reason":%q}`, tape.finish)) {
		return
	}
	fmt.Fprintf(w, "data: {\"id\":\"tape\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", len(tape.prompt)+from, tape.tokens-from)
}

// strait is a way to an endpoint that chaos closes: it hangs, it is cut, it is dead.
type strait struct {
	target  string
	address string
	mu      sync.Mutex
	l       net.Listener
	conns   map[net.Conn]bool
	hangs   atomic.Bool
	running sync.WaitGroup
}

func newStrait(t *testing.T, target string) *strait {
	t.Helper()
	s := &strait{target: target, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.die)
	return s
}

// open begins to listen, at the same address each time.
func (s *strait) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.l, s.address = l, l.Addr().String()
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.carry(c) })
		}
	})
	return nil
}

// carry copies both ways until one side ends.
func (s *strait) carry(c net.Conn) {
	up, err := net.Dial("tcp", s.target)
	if err != nil {
		c.Close()
		return
	}
	s.mu.Lock()
	s.conns[c], s.conns[up] = true, true
	s.mu.Unlock()
	var both sync.WaitGroup
	one := func(dst, src net.Conn, part int, pause time.Duration) {
		defer c.Close()
		defer up.Close()
		buf := make([]byte, part)
		for {
			n, err := src.Read(buf)
			time.Sleep(pause)
			for s.hangs.Load() {
				time.Sleep(5 * time.Millisecond)
			}
			if n > 0 {
				if _, werr := dst.Write(buf[:n]); werr != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	both.Go(func() { one(up, c, 4<<10, 0) })
	both.Go(func() { one(c, up, 256, 15*time.Millisecond) }) // an answer takes its time, so that it can be hit in its middle
	both.Wait()
	s.mu.Lock()
	delete(s.conns, c)
	delete(s.conns, up)
	s.mu.Unlock()
}

// cut ends all connections at once.
func (s *strait) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// die ends all connections and listens no more.
func (s *strait) die() {
	s.hangs.Store(false)
	s.mu.Lock()
	if s.l != nil {
		s.l.Close()
		s.l = nil
	}
	s.mu.Unlock()
	s.cut()
}

// storm disturbs the ways at random, at most two at a time, until ctx ends; then all are open.
func storm(ctx context.Context, rng *rand.Rand, ways []*strait, restart func()) (acts map[string]int) {
	acts = map[string]int{}
	var healing sync.WaitGroup
	var mu sync.Mutex
	busy := map[*strait]bool{}
	heal := func(s *strait, after time.Duration) {
		healing.Go(func() {
			select {
			case <-time.After(after):
			case <-ctx.Done():
			}
			s.hangs.Store(false)
			for s.open() != nil {
				time.Sleep(time.Millisecond)
			}
			mu.Lock()
			delete(busy, s)
			mu.Unlock()
		})
	}
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Duration(50+rng.IntN(150)) * time.Millisecond):
		case <-ctx.Done():
		}
		s := ways[rng.IntN(len(ways))]
		mu.Lock()
		free := !busy[s] && len(busy) < 2
		if free {
			busy[s] = true
		}
		mu.Unlock()
		if !free || ctx.Err() != nil {
			continue
		}
		after := time.Duration(100+rng.IntN(900)) * time.Millisecond
		switch act := rng.IntN(4); {
		case act == 0:
			acts["cut"]++
			s.cut()
		case act == 1:
			acts["hung"]++
			s.hangs.Store(true)
			after += chaosPatience // beyond what the endpoint may be silent
		case act == 2 && s == ways[0]:
			acts["restarted"]++
			restart()
		default:
			acts["killed"]++
			s.die()
		}
		heal(s, after)
	}
	healing.Wait()
	return acts
}

// TestChaos has a thousand clients stream at once from a model of five endpoints, three Weirs and two players of recordings, while the
// endpoints are killed, hung, cut and restarted at random. Every answer must come whole, and be token for token the one that an
// engine gives alone; and when all have left, nothing is left behind. WEIR_CHAOS_SEED repeats a run's random choices.
func TestChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_CHAOS_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_CHAOS_SEED=%d repeats this run's choices", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	process := countGoroutines()
	c := newChaos(t)
	ctx, end := context.WithCancel(t.Context())
	var weather sync.WaitGroup
	var acts map[string]int
	weather.Go(func() { acts = storm(ctx, rand.New(rand.NewPCG(seed, 2)), c.ways, c.restart) })
	var clients sync.WaitGroup
	var broken, refused, several atomic.Int64
	for i := range chaosStreams {
		wait := time.Duration(rng.IntN(3000)) * time.Millisecond
		clients.Go(func() {
			time.Sleep(wait) // arrivals spread over the storm, so that answers are cut in every part
			tries, err := c.ask(t.Context(), i)
			refused.Add(int64(tries - 1))
			if err != nil {
				broken.Add(1)
				t.Errorf("client %d: %v", i, err)
			}
			if tries > 1 {
				several.Add(1)
			}
		})
	}
	clients.Wait()
	end()
	weather.Wait()
	c.account(t, acts, broken.Load(), refused.Load())
	c.close(t)
	process.back(t)
}

// chaos is a front and the five endpoints behind it.
type chaos struct {
	front   *bundle
	weirs   []*bundle
	players []*httptest.Server
	ways    []*strait
	tape    map[string]*recording
	prompts []string
	again   func()
}

func (c *chaos) restart() { c.again() }

func newChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{tape: map[string]*recording{}}
	behind := loopback()
	behind.Engine.Threads = 1
	behind.Models = map[string]config.Model{"m": {Builtin: "weir-nano", Engine: config.Engine{Waiting: 2 * chaosStreams}, Objective: patient()}}
	behind.Shutdown.Grace = config.Duration(time.Millisecond)
	for range 3 {
		c.weirs = append(c.weirs, start(t, behind))
	}
	for i, term := range []string{"weir-mini", "TTFT", "TPOT", "a KV cache", "a prefix cache", "continuous batching", "a batch", "prefill", "decode", "a token",
		"a tokenizer", "quantization", "the context length", "temperature", "top-p", "speculative decoding", "paged attention", "GGUF", "safetensors", "throughput"} {
		p := "What is " + term + "?"
		c.prompts = append(c.prompts, p)
		c.tape[p] = record(t, c.weirs[0].Runner(), p, mostTokens(i))
	}
	var list []config.Endpoint
	add := func(name, target string) {
		way := newStrait(t, target)
		c.ways = append(c.ways, way)
		list = append(list, config.Endpoint{Name: name, URL: "http://" + way.address + "/v1", Kind: "weir", Slots: 64,
			Timeouts: config.Timeouts{Connect: config.Duration(time.Second), First: config.Duration(chaosPatience * 5), Between: config.Duration(chaosPatience)}})
	}
	for i, w := range c.weirs {
		add(fmt.Sprint("weir-", i), w.Addr().String())
	}
	for i := range 2 {
		p := httptest.NewServer(&player{tape: c.tape, pause: 20 * time.Millisecond})
		c.players = append(c.players, p)
		add(fmt.Sprint("player-", i), p.Listener.Addr().String())
	}
	c.again = func() {
		old := c.weirs[0]
		cfg := behind
		cfg.Listen = old.Addr().String()
		if err := old.Stop(); err != nil {
			t.Errorf("a Weir's stop: %v", err)
		}
		c.weirs[0] = start(t, cfg)
	}
	cfg := loopback()
	cfg.Models = map[string]config.Model{"m": {Endpoints: list, Objective: patient()}} // this storm is not about who comes too late
	c.front = start(t, cfg)
	c.front.transport.MaxIdleConnsPerHost = chaosStreams
	return c
}

// mostTokens cuts some answers short: those end by their length, the others by the model's own end.
func mostTokens(i int) int { return []int{12, 64, 20, 64}[i%4] }

// ask is one client: it streams an answer and compares it. A refusal before the answer is tried again, as SDKs do.
func (c *chaos) ask(ctx context.Context, client int) (tries int, err error) {
	prompt := c.prompts[client%len(c.prompts)]
	want := c.tape[prompt]
	body, _ := json.Marshal(map[string]any{"model": "m", "stream": true, "stream_options": map[string]bool{"include_usage": true}, "temperature": 0,
		"max_tokens": mostTokens(client % len(c.prompts)), "messages": []map[string]string{{"role": "user", "content": prompt}}})
	for tries = 1; ; tries++ {
		resp, err := c.front.post(ctx, "/v1/chat/completions", string(body))
		if err != nil {
			return tries, err
		}
		if resp.StatusCode >= 500 && tries < 5 {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			time.Sleep(time.Duration(tries) * 100 * time.Millisecond)
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(resp.Body)
			return tries, fmt.Errorf("status %d: %s", resp.StatusCode, text)
		}
		return tries, compare(resp.Body, want)
	}
}

// compare reads a stream and says how it differs from the recording, or is broken.
func compare(body io.Reader, want *recording) error {
	var text, id, finish string
	var usage []int
	done := false
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var chunk struct {
			ID      string
			Error   json.RawMessage
			Choices []struct {
				Delta  struct{ Content string }
				Finish string  `json:"finish_reason"`
				IDs    []int32 `json:"token_ids"`
			}
			Usage *struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return fmt.Errorf("%q: %w", data, err)
		}
		switch {
		case chunk.Error != nil:
			return fmt.Errorf("after %d bytes: %s", len(text), chunk.Error)
		case id != "" && chunk.ID != id:
			return fmt.Errorf("the answer's id changed from %q to %q", id, chunk.ID)
		}
		id = chunk.ID
		for _, choice := range chunk.Choices {
			if choice.IDs != nil {
				return errors.New("token ids are told that nobody asked for")
			}
			text += choice.Delta.Content
			finish += choice.Finish
		}
		if u := chunk.Usage; u != nil {
			usage = append(usage, u.Prompt, u.Completion)
		}
	}
	switch {
	case lines.Err() != nil:
		return lines.Err()
	case text != want.text:
		return fmt.Errorf("got %q, want %q", text, want.text)
	case !done || finish != string(want.finish):
		return fmt.Errorf("done %v, finish %q, want %q", done, finish, want.finish)
	case len(usage) != 2 || usage[0] != len(want.prompt) || usage[1] != want.tokens:
		return fmt.Errorf("usage %v, want [%d %d]", usage, len(want.prompt), want.tokens)
	}
	return nil
}

// account checks what the storm cost.
func (c *chaos) account(t *testing.T, acts map[string]int, broken, refused int64) {
	t.Helper()
	_, metrics := c.front.get(t, "/metrics")
	sum := func(name string) (n float64) {
		for line := range strings.SplitSeq(metrics, "\n") {
			if rest, ok := strings.CutPrefix(line, name+"{"); ok {
				v, _ := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
				n += v
			}
		}
		return n
	}
	visits, retries := sum("weir_endpoint_requests_total"), sum("weir_retries_total")
	resumes := sum(`weir_resumes_total`)
	t.Logf("storm %v; %d broken, %d refused and tried again; %.0f visits, %.0f retries, %.0f resumes", acts, broken, refused, visits, retries, resumes)
	asked := float64(chaosStreams) + float64(refused)
	if (asked+retries)/asked > 1.2 {
		t.Errorf("%.0f retries of %.0f requests amplify by more than 1.2", retries, asked)
	}
	if resumes+retries == 0 { // a short storm may cut nobody's answer, or nobody's beginning, but not neither
		t.Errorf("%.0f resumes and %.0f retries: the storm shows nothing", resumes, retries)
	}
}

// close ends everything and looks for what was left behind.
func (c *chaos) close(t *testing.T) {
	t.Helper()
	for _, w := range c.weirs {
		w.idle(t)
	}
	if n := c.front.gateway.InFlight(); n != 0 {
		t.Errorf("%d requests are in flight after all have ended", n)
	}
	for _, e := range c.front.fleet.Endpoints("m") {
		if f := e.Facts(time.Now()); f.Running != 0 || f.Prefill != 0 || f.Decoding != 0 {
			t.Errorf("endpoint %s holds %d requests, %d tokens, %d answers", f.ID, f.Running, f.Prefill, f.Decoding)
		}
	}
	c.front.end(t)
	for _, way := range c.ways {
		way.die()
		way.running.Wait()
	}
	for _, p := range c.players {
		p.Close()
	}
	for _, w := range c.weirs {
		w.end(t)
	}
}
