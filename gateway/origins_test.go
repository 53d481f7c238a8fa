package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestListedOriginsMayRead(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	check := func(origins []string, origin string, reads, asks bool) {
		t.Helper()
		b := setup(t, Config{Origins: origins}, says("x"))
		allowed := ""
		if reads {
			allowed = origin
		}
		pre := b.ask(t, "OPTIONS", "/v1/chat/completions", "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,x-stainless-os")
		if got := pre.header.Get("Access-Control-Allow-Origin"); pre.status != 204 || got != allowed {
			t.Errorf("%v: the preflight of %s gives %d and allows %q", origins, origin, pre.status, got)
		}
		if got := pre.header.Get("Access-Control-Allow-Headers"); (got == "authorization,content-type,x-stainless-os") != reads || (pre.header.Get("Access-Control-Allow-Methods") == "POST") != reads {
			t.Errorf("%v: the preflight of %s allows %v", origins, origin, pre.header)
		}
		for _, body := range []string{chatBody, streamBody, "bad"} {
			r := b.ask(t, "POST", "/v1/chat/completions", body, "Origin: "+origin, "Sec-Fetch-Site: cross-site")
			if got := r.header.Get("Access-Control-Allow-Origin"); got != allowed || (r.status == 403) == asks {
				t.Errorf("%v: %s gets %d, and may read as %q", origins, origin, r.status, got)
			}
			if len(origins) > 0 && !strings.Contains(strings.Join(r.header.Values("Vary"), ","), "Origin") {
				t.Error("a cache could give one origin's answer to another")
			}
		}
	}
	check([]string{app}, app, true, true)
	check([]string{app}, "https://evil.example", false, false)
	check([]string{app}, "http://app.example", false, false)
	check([]string{"*"}, "https://any.example", true, true)
	check(nil, app, false, false)
}

// TestPagesOfOtherSitesMakeNothingCompute: a browser sends a plain POST of any page to a server on its own machine.
func TestPagesOfOtherSitesMakeNothingCompute(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "t")
	b := setup(t, Config{}, says("x"), k)
	check := func(want int, headers ...string) {
		t.Helper()
		if r := b.ask(t, "POST", "/v1/chat/completions", chatBody, append(headers, "Content-Type: text/plain")...); r.status != want {
			t.Errorf("%q gives %d, want %d: %s", headers, r.status, want, r.body)
		}
	}
	check(403, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
	check(403, "Origin: null")
	check(200, "Origin: "+b.url)
	check(200, "Origin: "+b.url, "Sec-Fetch-Site: same-origin")
	check(200) // no browser
	check(200, "Origin: https://evil.example", "Authorization: Bearer "+plain)
	check(403, "Origin: https://evil.example", "Authorization: Bearer guessed")
}

// TestANameThatAnybodyCanPointHereIsRefused: DNS rebinding makes a page of any site look to its browser as if it were ours. Only Host
// still tells, and it counts where no key would stop the page.
func TestANameThatAnybodyCanPointHereIsRefused(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "t")
	ask := func(b *bundle, method, path, host string, headers ...string) reply {
		t.Helper()
		return b.ask(t, method, path, chatBody, append(headers, "Host: "+host, "Origin: http://"+host, "Sec-Fetch-Site: same-origin")...)
	}
	check := func(cfg Config, host string, want int, headers ...string) {
		t.Helper()
		b := setup(t, cfg, says("x"), k)
		for _, path := range []string{"/v1/chat/completions", "/v1/models", "/metrics", "/none"} {
			method, found := "GET", want
			switch path {
			case "/v1/chat/completions":
				method = "POST"
			case "/none":
				if want == 200 {
					found = 404
				}
			}
			if r := ask(b, method, path, host, headers...); r.status != found {
				t.Errorf("%+v: %s for Host %q gives %d, want %d: %s", cfg, path, host, r.status, found, r.body)
			}
		}
	}
	listed := Config{}
	for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST.:1", "127.0.0.1:8080", "10.1.2.3", "[::1]:8080", "[::1]"} {
		check(listed, host, 200)
	}
	for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example:80", "1.2.3.4.5", "evil"} {
		check(listed, host, 403)
	}
	check(listed, "evil.example", 200, "Authorization: Bearer "+plain)
	check(listed, "evil.example", 403, "Authorization: Bearer guessed")
	named := Config{Origins: []string{"https://Weir.lan:8443", "http://[fd00::1]"}}
	check(named, "weir.lan", 200)
	check(named, "weir.lan:8080", 200) // whatever the port outside
	check(named, "evil.example", 403)
	check(Config{Origins: []string{"*"}}, "any.example", 200)
	required := Config{KeysRequired: true}
	check(required, "any.example", 200, "Authorization: Bearer "+plain)

	b := setup(t, Config{}, says("x"))
	ask(b, "POST", "/v1/chat/completions", "evil.example:8080").wants(t, 403, "forbidden", "localhost", `"evil.example:8080"`, "http://evil.example:8080 under cors.origins")
	if r := ask(setup(t, required, says("x")), "GET", "/healthz", "any.example"); r.status != 200 {
		t.Errorf("behind keys, health for any name gives %d", r.status)
	}
	// The admin listener asks for no key, whatever the other does.
	admin := door(t, required, says("x"))
	admin.listen(t, admin.AdminHandler())
	for host, want := range map[string]int{"127.0.0.1": 200, "evil.example": 403} {
		if r := ask(admin, "GET", "/metrics", host); r.status != want {
			t.Errorf("the admin listener gives %d for Host %s", r.status, host)
		}
	}
}

// TestANetworkNamesItsServersItself: who opened a server to a network calls it by the network's names.
func TestANetworkNamesItsServersItself(t *testing.T) {
	t.Parallel()
	b := door(t, Config{}, says("x"))
	check := func(to string, want int) {
		t.Helper()
		r := httptest.NewRequest("GET", "http://weir.default.svc:8080/v1/models", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(to), Port: 8080}))
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("over %s: %d, want %d: %s", to, w.Code, want, w.Body)
		}
	}
	check("10.1.2.3", 200)
	check("fd00::1", 200)
	check("127.0.0.1", 403)
	check("::1", 403)
}

// TestARequestWithoutAHostIsTaken: the health checks of some balancers speak HTTP/1.0.
func TestARequestWithoutAHostIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /healthz HTTP/1.0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}
