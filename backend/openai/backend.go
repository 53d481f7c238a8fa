// Package openai is the hand that reaches endpoints which speak OpenAI's protocol: vLLM, SGLang, llama.cpp, a cloud provider, another
// Weir. An Endpoint is an llm.Runner that forwards a request's body with the few members edited that must be, and hands back the
// answer's frames as they came; only a request that was made inside Weir is encoded, and its answer decoded.
//
// A request runs on its caller's goroutine; one timer each watches over its silence. The transport owns its connections' goroutines
// and ends them in Close. What differs between engines stands in one table, kinds in quirks.go. The package never chooses among
// endpoints and never tries twice.
package openai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// Endpoint is one remote endpoint. It is safe for concurrent use.
type Endpoint struct {
	name  llm.EndpointID
	cfg   Config
	quirk atomic.Pointer[quirk] // what it is; the generic one until it is known
	known atomic.Bool           // quirk was configured or detected

	base      *url.URL
	host      string // of the Host header
	chat      *url.URL
	complete  *url.URL
	model     []byte // its name for the model as a JSON string; nil: the client's
	transport *http.Transport
	client    *http.Client // for probes
	sent      http.Header  // what every request is sent with
	probing   probing
}

// New makes an endpoint. Nothing is sent before Run or Probe.
func New(name llm.EndpointID, c Config) (*Endpoint, error) {
	if bad := c.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("endpoint %q: %s", name, strings.Join(bad, "; "))
	}
	c = c.withDefaults()
	base, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", name, err)
	}
	e := &Endpoint{name: name, cfg: c, base: base, chat: base.JoinPath("chat/completions"), complete: base.JoinPath("completions"), host: base.Host}
	if c.Host != "" {
		e.host = c.Host
	}
	if c.Model != "" {
		e.model = wire.AppendQuoted(nil, c.Model)
	}
	e.quirk.Store(quirkOf(c.Kind))
	e.known.Store(c.Kind != "")
	if e.transport, err = newTransport(c); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", name, err)
	}
	e.client = &http.Client{Transport: e.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	e.sent = http.Header{"Content-Type": {"application/json"}, "User-Agent": {"weir"}}
	e.header(e.sent)
	return e, nil
}

// Name is the endpoint's name.
func (e *Endpoint) Name() llm.EndpointID { return e.name }

// Continues says how it can go on with an answer, as far as its kind is known.
func (e *Endpoint) Continues() fleet.Continues { return e.quirk.Load().continues }

// Close ends idle connections; those in use end with their requests.
func (e *Endpoint) Close() { e.transport.CloseIdleConnections() }

// header adds to h the key and what is configured.
func (e *Endpoint) header(h http.Header) {
	for k, v := range e.cfg.Headers {
		h.Set(k, v)
	}
	if e.cfg.Key != "" {
		h["Authorization"] = []string{"Bearer " + e.cfg.Key}
	}
}

const (
	// dialKeepAlive finds a peer that vanished without a word.
	dialKeepAlive = 15 * time.Second
	// idleConn is below the 75 s after which nginx closes, and above the pauses of a service that is asked at all.
	idleConn = 60 * time.Second
	// connBuffer holds an event or two; 4 KB a direction is what a thousand idle streams can afford.
	connBuffer = 4 << 10
)

// newTransport makes the pool of connections to one endpoint.
func newTransport(c Config) (*http.Transport, error) {
	dialer := net.Dialer{Timeout: c.Connect, KeepAlive: dialKeepAlive}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConns:        c.Conns,
		MaxIdleConnsPerHost: c.Conns,
		MaxConnsPerHost:     c.Conns,
		IdleConnTimeout:     idleConn,
		TLSHandshakeTimeout: c.Connect,
		DisableCompression:  true, // frames are passed on as they stand
		ReadBufferSize:      connBuffer,
		WriteBufferSize:     connBuffer,
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.Host != "" {
		t.TLSClientConfig.ServerName = hostname(c.Host)
	}
	if c.HTTP2 {
		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		p.SetHTTP2(true)
		t.Protocols = p
	}
	if c.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca %q holds no certificate in PEM", c.CA)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// hostname is a host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// dialFault names a failure before the head of an answer. The text has no address in it.
func (e *Endpoint) dialFault(err error) *llm.Error {
	out := &llm.Error{Op: "endpoint " + string(e.name), Kind: llm.Upstream, Fault: llm.FaultConnect, Err: err, Message: fmt.Sprintf("The endpoint %s could not be reached.", e.name)}
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		out.Fault, out.Message = llm.FaultConfig, fmt.Sprintf("The endpoint %s has a certificate that this server does not trust.", e.name)
	case errors.As(err, &dial) && dial.Op == "dial":
		if dial.Timeout() {
			out.Kind, out.Fault = llm.Timeout, llm.FaultConnectTimeout
			out.Message = fmt.Sprintf("The endpoint %s took no connection within %s (timeouts.connect).", e.name, e.cfg.Connect)
		}
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		out.Kind, out.Fault = llm.Timeout, llm.FaultConnectTimeout
		out.Message = fmt.Sprintf("The endpoint %s finished no handshake within %s (timeouts.connect).", e.name, e.cfg.Connect)
	default:
		out.Fault, out.Message = llm.FaultCut, fmt.Sprintf("The endpoint %s closed the connection before it answered.", e.name)
	}
	return out
}

// silence is why a watch ended a request.
type silence struct{ err *llm.Error }

func (s *silence) Error() string { return s.err.Error() }

// watch ends a request whose endpoint is silent for too long. It is one timer: each event only moves the deadline, and the timer looks
// at it when it fires, because setting a timer again for every token would cost more than passing the token on.
type watch struct {
	e        *Endpoint
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	deadline atomic.Int64 // Unix nanoseconds
	stage    atomic.Int32
}

const (
	stageFirst int32 = iota
	stageBetween
)

func (e *Endpoint) watch(cancel context.CancelCauseFunc) *watch {
	w := &watch{e: e, cancel: cancel}
	w.deadline.Store(time.Now().Add(e.cfg.First).UnixNano())
	w.timer = time.AfterFunc(e.cfg.First, w.fire)
	return w
}

// heard notes an event.
func (w *watch) heard() {
	if w.stage.Load() == stageFirst {
		w.stage.Store(stageBetween)
		w.deadline.Store(time.Now().Add(w.e.cfg.Between).UnixNano())
		w.timer.Reset(w.e.cfg.Between)
		return
	}
	w.deadline.Store(time.Now().Add(w.e.cfg.Between).UnixNano())
}

func (w *watch) fire() {
	if left := time.Until(time.Unix(0, w.deadline.Load())); left > 0 {
		w.timer.Reset(left)
		return
	}
	err := &llm.Error{Op: "endpoint " + string(w.e.name), Kind: llm.Timeout, Fault: llm.FaultFirstTimeout,
		Message: fmt.Sprintf("The endpoint %s sent no first token within %s (timeouts.first).", w.e.name, w.e.cfg.First)}
	if w.stage.Load() == stageBetween {
		err.Fault = llm.FaultIdleTimeout
		err.Message = fmt.Sprintf("The endpoint %s sent nothing more for %s in the middle of its answer (timeouts.between).", w.e.name, w.e.cfg.Between)
	}
	w.cancel(&silence{err})
}

func (w *watch) stop() { w.timer.Stop() }
