package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestUnknownPathsSuggest(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	check := func(method, path string, words ...string) {
		t.Helper()
		r := b.ask(t, method, path, "")
		r.wants(t, 404, "not_found", words...)
		if m := r.err(t).Message; strings.HasSuffix(m, "?.") || !strings.HasSuffix(m, "?") && !strings.HasSuffix(m, ".") {
			t.Errorf("the message ends oddly: %q", m)
		}
	}
	check("POST", "/v1/chat/completion", "did you mean POST /v1/chat/completions?")
	check("POST", "/chat/completions", "POST /v1/chat/completions?")
	check("POST", "/v1/v1/chat/completions", "POST /v1/chat/completions?")
	check("GET", "/v1/model", "GET /v1/models?")
	check("GET", "/healthy", "GET /healthz?")
	check("POST", "/v1/tokenize", "POST /tokenize?")
	check("GET", "/", "POST /v1/chat/completions", "GET /v1/models")
	check("POST", "/v1/audio/transcriptions", "served are")
	check("GET", "/"+strings.Repeat("x", 5000), "...")
	b.ask(t, "GET", "/v1/models/M", "").wants(t, 404, "model_not_found", `"m"`)
}

func TestWrongMethodsNameTheRight(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	check := func(method, path, allow string) {
		t.Helper()
		r := b.ask(t, method, path, "")
		if method == "HEAD" {
			r.body = `{"error":{"message":"none","type":"invalid_request_error","code":"method_not_allowed"}}`
		}
		r.wants(t, 405, "method_not_allowed")
		if got := r.header.Get("Allow"); got != allow {
			t.Errorf("%s %s allows %q, want %q", method, path, got, allow)
		}
	}
	check("GET", "/v1/chat/completions", "POST")
	check("HEAD", "/v1/chat/completions", "POST")
	check("DELETE", "/v1/models/m", "GET, HEAD")
	check("POST", "/v1/models", "GET, HEAD")
	check("PUT", "/metrics", "GET, HEAD")
	if r := b.ask(t, "OPTIONS", "/v1/chat/completions", ""); r.status != 204 || r.header.Get("Allow") != "POST" {
		t.Errorf("OPTIONS: %d, %v", r.status, r.header)
	}
	if r := b.ask(t, "HEAD", "/healthz", ""); r.status != 200 || r.body != "" {
		t.Errorf("HEAD: %d, %q", r.status, r.body)
	}
}

// TestOddTargetsGetErrorsInOurShape sends what clients do not: targets that are no paths, or not clean ones.
func TestOddTargetsGetErrorsInOurShape(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	for _, line := range []string{"CONNECT localhost:80 HTTP/1.1", "GET http://127.0.0.1/none HTTP/1.1", "POST /%2e%2e/x HTTP/1.1", "GET /v1/models/../x HTTP/1.1", "GET //v1/models HTTP/1.1", "OPTIONS //v1/models HTTP/1.1"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nConnection: close\r\n\r\n", line)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		reply{resp.StatusCode, resp.Header, string(text)}.wants(t, 404, "not_found")
		if resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: the answer has no name", line)
		}
		conn.Close()
	}
}

// TestOnlyCleanPathsAreRoutes: what the mux would clean and redirect is a miss, with an account and the path that is meant.
func TestOnlyCleanPathsAreRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	check := func(path string, words ...string) {
		t.Helper()
		before := strings.Count(b.access.String(), `"route":"none","status":404`)
		b.ask(t, "GET", path, "").wants(t, 404, "not_found", words...)
		waitFor(t, func() bool { return strings.Count(b.access.String(), `"route":"none","status":404`) == before+1 })
	}
	check("//v1/models", "did you mean GET /v1/models?")
	check("//", "served are")
	check("///", "served are")
	check("/v1//models", "did you mean GET /v1/models?")
	check("/v1/models/../models")
	check("/v1/models/./m")
	check("/v1/models//m")
	check("/v1/models/%2e%2e/x")
	for _, path := range []string{"/v1/models/", "/v1/models/m", "/v1/models/org%2Fname:v1", "/health", "/healthz"} {
		if r := b.ask(t, "GET", path, ""); r.status != 200 {
			t.Errorf("%s gives %d %s", path, r.status, r.body)
		}
	}
}

func TestModelsAreListedAndShown(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	r := b.ask(t, "GET", "/v1/models", "")
	for _, want := range []string{`"object":"list"`, `"id":"m"`, `"id":"org/name:v1"`, `"created":1700000000`, `"owned_by":"weir"`, `"max_model_len":64`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the list has no %s: %s", want, r.body)
		}
	}
	for _, path := range []string{"/v1/models/org/name:v1", "/v1/models/org%2Fname:v1", "/v1/models/org%2fname%3Av1"} {
		if r := b.ask(t, "GET", path, ""); r.status != 200 || !strings.Contains(r.body, `"id":"org/name:v1"`) || strings.Contains(r.body, `"object":"list"`) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	b.ask(t, "GET", "/v1/models/none", "").wants(t, 404, "model_not_found", "none", `"m"`)
	b.ask(t, "POST", "/v1/chat/completions", strings.Replace(chatBody, `"m"`, `"mm"`, 1)).wants(t, 404, "model_not_found", "mm", `"m"`)
}

func TestTokensAreServed(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	check := func(path, body, want string) {
		t.Helper()
		if r := b.ask(t, "POST", path, body); r.status != 200 || !strings.Contains(strings.ReplaceAll(r.body, " ", ""), want) {
			t.Errorf("%s %s gives %d %s, want %s", path, body, r.status, r.body, want)
		}
	}
	refused := func(path, body string, words ...string) {
		t.Helper()
		r := b.ask(t, "POST", path, body)
		if r.status/100 != 4 {
			t.Errorf("%s %s gives %d", path, body, r.status)
		}
		for _, w := range words {
			if !strings.Contains(r.err(t).Message, w) {
				t.Errorf("%s %s gives %q without %q", path, body, r.err(t).Message, w)
			}
		}
	}
	check("/tokenize", `{"model":"m","prompt":"ab","add_special_tokens":false}`, `"tokens":[97,98]`)
	check("/tokenize", `{"model":"m","prompt":"ab"}`, `"tokens":[1,97,98]`)
	check("/tokenize", `{"model":"m","prompt":"a","add_special_tokens":false,"return_token_strs":true}`, `"token_strs":["a"]`)
	check("/tokenize", `{"model":"m","messages":[{"role":"user","content":"a"}]}`, `"tokens":[117,115,101,114,58,97,10]`)
	check("/detokenize", `{"model":"m","tokens":[104,105]}`, `"prompt":"hi"`)
	check("/apply-template", `{"model":"m","messages":[{"role":"user","content":"a"}]}`, `"prompt":"user:a\n"`)
	refused("/detokenize", `{"model":"m","tokens":[300]}`, "300")
	refused("/tokenize", `{"prompt":"a"}`, "model", "2 models")
	refused("/tokenize", `{"model":"org/name:v1","prompt":"a"}`, "org/name:v1")
	refused("/tokenize", `{"model":"x","prompt":"a"}`, `"x"`)
	refused("/apply-template", `{"model":"m"}`)
	refused("/detokenize", `nonsense`)
	only, _ := b.models.Get("m")
	if err := b.models.Set(append(b.models.List()[:0:0], only)); err != nil {
		t.Fatal(err)
	}
	check("/tokenize", `{"prompt":"a","add_special_tokens":false}`, `"tokens":[97]`)
	check("/detokenize", `{"tokens":[104]}`, `"prompt":"h"`)
	check("/apply-template", `{"messages":[{"role":"user","content":"a"}]}`, `"prompt":"user:a\n"`)
}
