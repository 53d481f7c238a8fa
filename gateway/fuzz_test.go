package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzHTTPBodies sends any body to any route: the door never panics, answers with a status of its list, and what it says is valid
// JSON or a stream whose every frame is.
func FuzzHTTPBodies(f *testing.F) {
	paths := []string{"/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize", "/apply-template"}
	for _, body := range []string{
		chatBody, streamBody, `{"model":"m","prompt":["a","b"],"n":2,"stream":true,"stream_options":{"include_usage":true}}`, `{"model":"m","prompt":[[1,2],[3]],"echo":true,"logprobs":2}`,
		`{"prompt":"a","model":"m"}`, `{"tokens":[1,2],"model":"m"}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"model":"m"}`, `[]`, ``, `{`, "null", "\xff",
		`{"model":"m","messages":[{"role":"user","content":"\ud800"}]}`, `{"model":"m","model":"m"}`, `{"model":"m","messages":[],"temperature":1e999}`,
	} {
		for i := range paths {
			f.Add(uint8(i), body)
		}
	}
	b := door(f, Config{}, says("a", "\u2028\"\\</script>", "\x00"))
	f.Fuzz(func(t *testing.T, route uint8, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, paths[int(route)%len(paths)], strings.NewReader(body))
		r.Host = "localhost"
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 && w.Code != 404 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			frames := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
			for i, frame := range frames {
				data, ok := strings.CutPrefix(frame, "data: ")
				if last := i == len(frames)-1; !ok || last != (data == "[DONE]") || !last && !json.Valid([]byte(data)) {
					t.Fatalf("frame %q of %q", frame, w.Body)
				}
			}
			return
		}
		if !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("status %d, not JSON: %q", w.Code, w.Body)
		}
		if n := b.InFlight(); n != 0 || b.bodies.held.Load() != 0 {
			t.Fatalf("%d requests and %d bytes are left", n, b.bodies.held.Load())
		}
	})
}
