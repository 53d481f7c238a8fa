package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckProbesEveryEndpoint asks a fake server of OpenAI's protocol, the built-in model, and three endpoints that each have another fault.
func TestCheckProbesEveryEndpoint(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Team") == "strangers":
			http.Error(w, `{"error":{"message":"no"}}`, http.StatusUnauthorized)
		case r.URL.Path == "/v1/models":
			fmt.Fprint(w, `{"object":"list","data":[{"id":"big","object":"model"}]}`)
		case r.URL.Path == "/v1/chat/completions":
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			for _, word := range []string{"one", " two", " three"} {
				fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", word)
			}
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(up.Close)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	path := filepath.Join(t.TempDir(), "w.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("models:\n  small: {builtin: weir-nano}\n  chat:\n    endpoints:\n      - {name: good, url: \"" + up.URL + "/v1\", model: big}\n")
	text := weir(t, "", "check", "--config", path, "--probe").ok(t)
	for _, want := range []string{"small  embedded  up", "chat   good      up     openai", "big", "s ago"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	write("models:\n  chat:\n    endpoints:\n      - {name: good, url: \"" + up.URL + "/v1\", model: big}\n      - {name: dead, url: \"" + dead.URL + "/v1\"}\n" +
		"      - {name: denied, url: \"" + up.URL + "/v1\", headers: {x-team: strangers}}\n      - {name: astray, url: \"" + up.URL + "/api\"}\n")
	r := weir(t, "", "check", "--config", path, "--probe")
	r.fails(t, exitFailed, "not every endpoint answers")
	for _, want := range []string{"chat/dead: ", "refused", "chat/denied: ", "key", "chat/astray: ", "/v1"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	lines := decode[[]probeLine](t, weir(t, "", "check", "--config", path, "--probe", "--json").out)
	if len(lines) != 4 || lines[3].Endpoint != "good" || !lines[3].Answered || lines[3].Kind != "openai" || lines[1].Age != -1 {
		t.Errorf("JSON: %+v", lines)
	}
}
