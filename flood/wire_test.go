package flood

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/weir-ai/weir/workload"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

func TestReadHead(t *testing.T) {
	t.Parallel()
	check := func(text string, want head) {
		t.Helper()
		c := &conn{in: newReader(strings.NewReader(text))}
		if h, err := c.readHead(); err != nil || h != want {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
	check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n", head{status: 200, length: 5, stream: true})
	check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\ntransfer-encoding: Chunked\r\nRetry-After: 3\r\nX-Weir-Reason: gate_full\r\n\r\n",
		head{status: 503, length: -1, chunked: true, retryAfter: 3 * time.Second, reason: "gate_full"})
	check("HTTP/1.0 429\r\nretry-after-ms: 250\r\nRetry-After: 3\r\n\r\n", head{status: 429, length: -1, close: true, retryAfter: 250 * time.Millisecond})
	check("HTTP/1.1 429 \r\nRetry-After: 3\r\nretry-after-ms: 250\r\nConnection: close\r\n\r\n", head{status: 429, length: -1, close: true, retryAfter: 250 * time.Millisecond})
	for _, bad := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/2 200 OK\r\n\r\n", "hello\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", headLinesMax) + "\r\n"} {
		c := &conn{in: newReader(strings.NewReader(bad))}
		if h, err := c.readHead(); err == nil {
			t.Errorf("%.20q: %+v", bad, h)
		}
	}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	check := func(text string, h head, want string, wantErr error, left string) {
		t.Helper()
		for _, slow := range []bool{false, true} {
			r := io.Reader(strings.NewReader(text))
			if slow {
				r = iotest.OneByteReader(r)
			}
			c := &conn{in: newReader(r)}
			b := c.body(h)
			got, err := io.ReadAll(b)
			if string(got) != want || !errors.Is(err, wantErr) || err != nil != (wantErr != nil) {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			if rest, _ := io.ReadAll(c.in); wantErr == nil && string(rest) != left {
				t.Errorf("%q: %q is left", text, rest)
			}
			if wantErr == nil && !b.done {
				t.Errorf("%q: not done", text)
			}
		}
	}
	check("hello, next", head{status: 200, length: 5}, "hello", nil, ", next")
	check("", head{status: 200}, "", nil, "")
	check("hel", head{status: 200, length: 5}, "hel", io.ErrUnexpectedEOF, "")
	check("hello", head{status: 200, length: -1}, "hello", nil, "")
	check("5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nnext", head{status: 200, length: -1, chunked: true}, "hello world", nil, "next")
	check("5\r\nhel", head{status: 200, length: -1, chunked: true}, "hel", io.ErrUnexpectedEOF, "")
	check("5\r\nhello\r\n", head{status: 200, length: -1, chunked: true}, "hello", io.ErrUnexpectedEOF, "")
	c := &conn{in: newReader(strings.NewReader("zz\r\n"))}
	if _, err := io.ReadAll(c.body(head{status: 200, chunked: true})); err == nil {
		t.Error("a chunk of length zz passes")
	}
}

func TestReadStreamFindsWhatCounts(t *testing.T) {
	t.Parallel()
	check := func(text string, pieces, completion int, ended bool, failure string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			heard := 0
			a, err := readStream(r, func(*answer) { heard++ })
			if err != nil || a.pieces != pieces || heard != pieces || a.completion != completion || a.ended != ended || a.failure != failure {
				t.Errorf("%.60q: %+v, %d heard, %v", text, a, heard, err)
			}
		}
	}
	check("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", 0, 0, false, "")
	check("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}}]}\n\n", 0, 0, false, "")
	check("data:{\"choices\": [{\"delta\": {\"content\": \"x\"}, \"finish_reason\": null}]}\r\n\r\n", 1, 0, false, "")
	check("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"x\",\"content\":null}}]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n", 2, 0, false, "")
	check("data: {\"choices\":[{\"delta\":{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\"\"},\"finish_reason\":null}]}\n\n", 1, 0, false, "")
	check(": waiting\n\nevent: x\ndata: [DONE]\n\n", 0, 0, true, "")
	check("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34}}\n\n", 0, 34, true, "")
	check("data: {\"error\":{\"message\":\"m\",\"code\":\"upstream_error\"}}\n\n", 0, 0, false, "upstream_error")
	check("data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":502}}\n\n", 0, 0, false, "code 502")
	long := strings.Repeat("y", 3*bufferSize)
	check("data: {\"choices\":[{\"delta\":{\"content\":\""+long+"\"},\"finish_reason\":\"stop\"}]}\n\n: "+long+"\n\ndata: [DONE]\n\n", 1, 0, true, "")
	if _, err := readStream(strings.NewReader("data: "+strings.Repeat("y", lineMax+2*bufferSize)), func(*answer) {}); !errors.Is(err, errLine) {
		t.Errorf("a line without an end: %v", err)
	}
	if _, err := readStream(iotest.ErrReader(io.ErrUnexpectedEOF), func(*answer) {}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut stream: %v", err)
	}
}

func TestReasonOf(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		if got := reasonOf([]byte(text)); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	check(`{"error":{"type":"overloaded_error","code":"overloaded"}}`, "overloaded")
	check(`{"error":{"code":null,"type":"rate_limit_error"}}`, "rate_limit_error")
	check(`{"error":{"code":429}}`, "code 429")
	check(`{"type":"error","error":{"type":"x"}}`, "error")
	check(`<html>`, "")
	check(`{"code":"`+strings.Repeat("x", reasonMax+1)+`"}`, "")
}

func FuzzReadStream(f *testing.F) {
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"), 3)
	f.Add([]byte("data: {\"error\":{\"code\":5}}\r\n: c\n\ndata:[DONE]"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		whole, err := readStream(strings.NewReader(string(text)), func(*answer) {})
		parts, err2 := readStream(&bySize{text, max(1, piece%17)}, func(*answer) {})
		whole.first, whole.last, parts.first, parts.last = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if whole != parts || (err == nil) != (err2 == nil) {
			t.Errorf("%+v, %v in one piece; %+v, %v in pieces of %d", whole, err, parts, err2, piece)
		}
	})
}

// bySize reads a text in pieces.
type bySize struct {
	left []byte
	size int
}

func (r *bySize) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.size)], r.left)
	r.left = r.left[n:]
	return n, nil
}

// The body of a request and a frame of an answer are what is done most often.
func BenchmarkBody(b *testing.B) {
	p := prompter{perToken: 1, seed: 1}
	r := workload.Request{Prompt: 256, Output: 64}
	o := &Options{}
	var text []byte
	for n := range uint64(b.N) {
		text = o.body(text[:0], `"m"`, &r, p, n, true)
	}
	b.SetBytes(int64(len(text)))
}

func BenchmarkFrame(b *testing.B) {
	line := []byte(`data: {"id":"chatcmpl-mock0000000000000001","object":"chat.completion.chunk","created":1700000000,"model":"mock-model","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}`)
	var a answer
	b.ReportAllocs()
	for range b.N {
		a.line(line, func(*answer) {})
	}
}

// BenchmarkRefused is a request that is refused at once, by this client and by net/http's, the server beside it in the same process.
func BenchmarkRefused(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(503)
	}))
	defer s.Close()
	body := strings.Repeat("word ", 256)
	b.Run("this", func(b *testing.B) {
		o, _ := Options{URL: s.URL, Model: "m", TokensPerWord: 1, Requests: func(func(workload.Request) bool) {}, For: time.Second}.checked()
		t, err := newTarget(b.Context(), &o)
		if err != nil {
			b.Fatal(err)
		}
		defer t.close()
		t.model = `"m"`
		snd := newSender(&o, t, calibration{prompter: prompter{perToken: 1}})
		snd.rec = newRecorder(&o, time.Now())
		b.ReportAllocs()
		for n := range uint64(b.N) {
			a := &attempt{r: &workload.Request{Prompt: 256, Output: 64}, n: n, due: time.Now()}
			snd.rec.begin(a, time.Now())
			snd.try(b.Context(), a)
			snd.rec.end(a, time.Now())
			if a.outcome != refused {
				b.Fatalf("%v %s", a.outcome, a.label)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		client := &http.Client{}
		b.ReportAllocs()
		for range b.N {
			r, err := client.Post(s.URL, "application/json", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
	})
}
