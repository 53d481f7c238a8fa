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
		b.ask(t, method, path, "").wants(t, 404, "not_found", words...)
	}
	check("POST", "/v1/chat/completion", "did you mean POST /v1/chat/completions?")
	check("POST", "/chat/completions", "POST /v1/chat/completions?")
	check("POST", "/v1/v1/chat/completions", "POST /v1/chat/completions?")
	check("GET", "/v1/model", "GET /v1/models?")
	check("GET", "/health", "GET /healthz?")
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

// TestOddTargetsGetErrorsInOurShape sends what clients do not: targets that are no paths.
func TestOddTargetsGetErrorsInOurShape(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	for _, line := range []string{"CONNECT localhost:80 HTTP/1.1", "GET http://127.0.0.1/none HTTP/1.1", "POST /%2e%2e/x HTTP/1.1"} {
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
		if resp.StatusCode < 300 || resp.StatusCode > 399 {
			reply{resp.StatusCode, resp.Header, string(text)}.wants(t, 404, "not_found")
		}
		conn.Close()
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
