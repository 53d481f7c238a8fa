package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-ai/weir/llm"
)

// origins says which sites' pages may ask, and keeps the pages of others from asking with the user's reach.
type origins struct {
	all    bool
	listed []string
	hosts  []string // of the listed, in lower case and without their ports
	guard  *http.CrossOriginProtection
}

func newOrigins(list []string) (*origins, error) {
	o := &origins{all: slices.Contains(list, "*"), listed: list, guard: http.NewCrossOriginProtection()}
	for _, origin := range list {
		if origin == "*" {
			continue
		}
		if err := o.guard.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
		u, err := url.Parse(origin)
		if err != nil {
			return nil, err
		}
		o.hosts = append(o.hosts, hostOf(u.Host))
	}
	return o, nil
}

// allow lets a page of a listed origin read the response.
func (o *origins) allow(x *exchange) {
	if len(o.listed) == 0 {
		return
	}
	x.w.Header().Add("Vary", "Origin")
	origin := x.r.Header.Get("Origin")
	if origin == "" || !o.all && !slices.Contains(o.listed, origin) {
		return
	}
	x.header("Access-Control-Allow-Origin", origin)
	x.header("Access-Control-Expose-Headers", "X-Request-Id, Traceparent, Retry-After, Retry-After-Ms")
}

// preflight answers what a browser asks before it sends a page's request. Any header is allowed that it asks for: SDKs send many of
// their own, and none changes what a key may do.
func (o *origins) preflight(x *exchange, methods []string) {
	h := x.w.Header()
	if h.Get("Access-Control-Allow-Origin") == "" || x.r.Header.Get("Access-Control-Request-Method") == "" {
		return
	}
	x.header("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		x.header("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	// Ten minutes: an origin taken off the list stays allowed that long at most; shorter ones would double the requests of a chat.
	x.header("Access-Control-Max-Age", "600")
}

// check refuses what the page of an unlisted site sends. Such a page cannot read the answer, but without this it could make a server
// on the user's own machine compute. A request that brought a key is no accident: browsers add none by themselves.
//
// A page can get around that where nothing asks for a key: it comes from a name of its own, evil.example, which its owner then lets
// mean 127.0.0.1. For the browser, page and server are now the same site, and the page reads what it likes. But the name stays in
// Host, so that there only names are taken that nobody else can point here. This holds for what came over loopback alone: a server
// that a network reaches without keys was opened to it by name, and is called by whatever name the network gives it.
func (o *origins) check(x *exchange) error {
	if o.all || x.key.ID != "" {
		return nil
	}
	if x.route.is(open) && overLoopback(x.r) && !o.hosted(x.r.Host) {
		return llm.Errorf(llm.Forbidden, "No key is asked for here, so that only localhost and IP addresses are taken as the name of this server, and not %q: "+
			"any site can let a name of its own mean this machine. List http://%s under cors.origins, or require keys.", clip(x.r.Host), clip(x.r.Host))
	}
	if err := o.guard.Check(x.r); err != nil {
		return &llm.Error{Kind: llm.Forbidden, Err: err, Message: "The page that sent this request belongs to a site that may not ask here; list its origin under cors.origins."}
	}
	return nil
}

// overLoopback reports whether the connection of a request came to a loopback address; one whose address is not known counts so.
func overLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return !ok || addr.IP.IsLoopback()
}

// hosted reports whether host, as a request has it, is a name that no other site can point here: localhost, an address, or the host
// of a listed origin. A request without any is from no browser: HTTP/1.0 has none.
func (o *origins) hosted(host string) bool {
	name := hostOf(host)
	if host == "" || name == "localhost" || slices.Contains(o.hosts, name) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// hostOf is the name or address in a host that may have a port, as names are compared.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
