package gateway

import (
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
	b := setup(t, Config{Keys: []Key{k}}, says("x"))
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
