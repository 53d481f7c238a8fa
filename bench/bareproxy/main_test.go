package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProxyFlushesAtOnce(t *testing.T) {
	t.Parallel()
	seen := make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-seen // the second part is not written before the first was read
		_, _ = io.WriteString(w, " two "+r.URL.Path+r.Header.Get("Authorization"))
	}))
	defer upstream.Close()
	proxy, err := newProxy(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/v1/x", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "key")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "one" {
		t.Fatalf("first %q, %v", first, err)
	}
	close(seen)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != " two /v1/xkey" {
		t.Errorf("rest %q, %v", rest, err)
	}
}

func TestUpstreamMustBeAURL(t *testing.T) {
	t.Parallel()
	if _, err := newProxy("http://127.0.0.1:x"); err == nil || !strings.Contains(err.Error(), "-upstream") {
		t.Errorf("%v, want an error that names the flag", err)
	}
}
