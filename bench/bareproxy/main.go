// Command bareproxy is the yardstick of gateway measurements: Go's own reverse proxy with nothing added. A gateway that does its whole
// work at a good fraction of this speed wastes little. It checks no key, counts nothing and never tells upstreams apart.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:18090", "listen address (loopback)")
	upstream := flag.String("upstream", "http://127.0.0.1:18000", "upstream base URL")
	flag.Parse()
	if err := serve(*addr, *upstream); err != nil {
		fmt.Fprintln(os.Stderr, "bareproxy:", err)
		os.Exit(1)
	}
}

// idleMax is above the most connections that any scenario opens (4,000 of the open loop): a proxy that dials again for a request
// would be measured for its dialling. Connections that nobody uses cost nothing, so there is no reason to go lower.
const idleMax = 8192

// serve proxies until the listener fails.
func serve(addr, upstream string) error {
	proxy, err := newProxy(upstream)
	if err != nil {
		return err
	}
	return http.ListenAndServe(addr, proxy)
}

// newProxy flushes every write at once, for a chunk of a stream must not wait for the next one.
func newProxy(upstream string) (*httputil.ReverseProxy, error) {
	target, err := url.Parse(upstream)
	if err != nil {
		return nil, fmt.Errorf("-upstream %q: %w; give a URL such as http://127.0.0.1:18000", upstream, err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{MaxIdleConns: idleMax, MaxIdleConnsPerHost: idleMax}
	return proxy, nil
}
