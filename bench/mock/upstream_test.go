package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func serveMock(t *testing.T, s settings) (*upstream, string) {
	t.Helper()
	u := newUpstream(s)
	server := httptest.NewServer(u.routes())
	t.Cleanup(server.Close)
	return u, server.URL
}

func post(t *testing.T, to, body string) *http.Response {
	t.Helper()
	res, err := http.Post(to, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	u, at := serveMock(t, settings{Tokens: 10})
	res := post(t, at+"/v1/chat/completions", `{"stream": false}`)
	var got struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Tokens int `json:"completion_tokens"`
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if words := strings.Fields(got.Choices[0].Message.Content); len(words) != 10 || got.Usage.Tokens != 10 || res.ContentLength <= 0 {
		t.Errorf("%d words, %+v, length %d; want 10 words with a length", len(words), got.Usage, res.ContentLength)
	}
	if u.served.Load() != 1 || u.inflightMax.Load() != 1 {
		t.Errorf("served %d, at most %d at once", u.served.Load(), u.inflightMax.Load())
	}
}

func TestStreamTellsWhenItWasSent(t *testing.T) {
	t.Parallel()
	_, at := serveMock(t, settings{Chunks: 3, Interval: time.Millisecond})
	before := time.Now().UnixNano()
	res := post(t, at+"/v1/chat/completions", `{"stream" : true}`)
	var sent []int64
	var last string
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if _, rest, ok := strings.Cut(lines.Text(), `"t=`); ok {
			ns, err := strconv.ParseInt(rest[:19], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, ns)
		}
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if len(sent) != 3 || last != "data: [DONE]" {
		t.Fatalf("%d chunks, last line %q", len(sent), last)
	}
	if sent[0] < before || sent[1] <= sent[0] || sent[2] <= sent[1] || sent[2] > time.Now().UnixNano() {
		t.Errorf("times %v do not follow each other after %d", sent, before)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	check := func(s settings, status int) {
		t.Helper()
		_, at := serveMock(t, s)
		if res := post(t, at+"/v1/completions", `{}`); res.StatusCode != status {
			t.Errorf("%+v: status %d, want %d", s, res.StatusCode, status)
		}
	}
	check(settings{P429: 1}, 429)
	check(settings{P500: 1}, 500)
	check(settings{}, 200)
	_, at := serveMock(t, settings{PCut: 1, Chunks: 4})
	if text, err := io.ReadAll(post(t, at+"/v1/completions", `{"stream":true}`).Body); err == nil {
		t.Errorf("a stream that is cut ended well: %s", text)
	}
}

func TestWaitingRoomIsBounded(t *testing.T) {
	t.Parallel()
	u := newUpstream(settings{Slots: 1, Queue: 1, Delay: time.Minute})
	server := httptest.NewServer(u.routes())
	defer server.Close()
	defer server.CloseClientConnections() // the two that wait leave
	at := server.URL
	for range 2 { // one in the slot, one that waits
		go func() {
			if res, err := http.Post(at+"/v1/completions", "application/json", strings.NewReader("{}")); err == nil {
				_ = res.Body.Close()
			}
		}()
	}
	for u.waiting.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	if res := post(t, at+"/v1/completions", `{}`); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q; want a refusal", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if u.rejected.Load() != 1 {
		t.Errorf("%d refused, want 1", u.rejected.Load())
	}
}

func TestSettingsChange(t *testing.T) {
	t.Parallel()
	u, at := serveMock(t, settings{Chunks: 5, Tokens: 1})
	if res := post(t, at+"/_set?delay=3ms&jitter=0.5&chunks=7&slots=2", ""); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	want := settings{Delay: 3 * time.Millisecond, Jitter: 0.5, Chunks: 7, Tokens: 1, Slots: 2}
	if c := u.now.Load(); c.settings != want || cap(c.slots) != 2 {
		t.Errorf("settings %+v, want %+v", c.settings, want)
	}
	for _, wrong := range []string{"chunk=1", "chunks=x", "delay=5"} {
		query, err := url.ParseQuery(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := want.with(query); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
