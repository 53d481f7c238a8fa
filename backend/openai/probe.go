package openai

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/fleet"
)

const (
	// probeMax bounds what is read of an answer to a probe: OpenRouter's list of models is some 500 KB. metricsMax bounds metrics: a
	// server of many models with all their histograms.
	probeMax   = 1 << 20
	metricsMax = 8 << 20
	// modelsToldMax is how many models a reason lists: what fits a line.
	modelsToldMax = 5
	// aboutRest is how long what a server says of itself is believed: models are added and servers replaced behind a name, but not by
	// the second, and a list of models costs more than a look at its health.
	aboutRest = time.Minute
)

// probing is what an endpoint's probes keep from one to the next.
type probing struct {
	sync.Mutex  // held for one probe
	last        fleet.Report
	at, learned time.Time // of last, and of last.About
	looks       bool      // health cannot be asked, so that the list of models is
	found       float64   // the counters of the last look at its metrics
	asked       float64
}

// Probe asks the endpoint how it is: its health and its load, and, until that is known and now and then after, what it is and what it
// serves. Reasons are for whoever runs this server: they name addresses, never keys.
func (e *Endpoint) Probe(ctx context.Context) fleet.Report {
	p := &e.probing
	p.Lock()
	defer p.Unlock()
	now := time.Now()
	if rest := e.quirk.Load().rest; rest > 0 && p.last.State == fleet.StateUp && now.Sub(p.at) < rest {
		return p.last
	}
	r := e.probe(ctx, p, now)
	r.Continues = e.quirk.Load().continues
	if r.State == fleet.StateDown {
		p.learned = time.Time{}
		e.known.Store(e.cfg.Kind != "") // another server may come up in its place
	}
	p.last, p.at = r, now
	return r
}

func (e *Endpoint) probe(ctx context.Context, p *probing, now time.Time) fleet.Report {
	r := fleet.Report{State: fleet.StateUp, About: p.last.About, Load: fleet.UnknownLoad()}
	if e.known.Load() && e.quirk.Load().health != "" {
		if e.health(ctx, p, &r); r.State != fleet.StateUp {
			return r
		}
	}
	if q := e.quirk.Load(); q.health == "" || p.looks || now.Sub(p.learned) >= aboutRest {
		if e.learn(ctx, &r); r.State == fleet.StateDown || r.State == fleet.StateLoading {
			return r
		}
		p.learned = now
	} else {
		r.State, r.Reason = p.last.State, p.last.Reason // of the model that is not among those listed
	}
	e.load(ctx, p, &r)
	return r
}

// health asks the path that says whether the server is well.
func (e *Endpoint) health(ctx context.Context, p *probing, r *fleet.Report) {
	target := e.root().JoinPath(e.quirk.Load().health)
	body, status, err := e.fetch(ctx, target, probeMax)
	p.looks = status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case err != nil:
		r.State, r.Reason = fleet.StateDown, e.unreachable(err)
	case status == http.StatusServiceUnavailable && waits(body):
		r.State, r.Reason = fleet.StateLoading, "it is not ready: "+readError(body).message
	case status >= 500:
		r.State, r.Reason = fleet.StateDown, e.answered(target, status, body)
	}
}

// waits reports whether a server that answers 503 says that it will be ready.
func waits(body []byte) bool {
	text := strings.ToLower(string(body))
	return slices.ContainsFunc([]string{"loading", "starting", "not ready", "warming", "draining"}, func(word string) bool { return strings.Contains(text, word) })
}

// learn asks what the server serves, and what it is where that is not known.
func (e *Endpoint) learn(ctx context.Context, r *fleet.Report) {
	models := e.models(ctx, r)
	if models == nil {
		return
	}
	if !e.known.Load() {
		q, err := e.detect(ctx, models)
		if err != nil {
			r.State, r.Reason = fleet.StateDown, e.unreachable(err)
			return
		}
		e.quirk.Store(q)
		e.known.Store(true)
	}
	q := e.quirk.Load()
	r.About = fleet.About{Kind: q.name, Models: models.names(), Context: models.context(e.cfg.Model)}
	e.facts(ctx, q, &r.About)
	if m := e.cfg.Model; m != "" && !q.serves(m, r.About.Models) {
		r.State, r.Reason = fleet.StateDown, fmt.Sprintf("it serves %s; not %q: write one of these as model", listed(r.About.Models), m)
		if q.guess {
			r.State = fleet.StateUnknown
		}
	}
}

// serves reports whether a model is among the names that a server lists. Ollama lists what is called x as x:latest, LiteLLM may list
// patterns.
func (q *quirk) serves(model string, names []string) bool {
	return q.anyModel || len(names) == 0 || slices.ContainsFunc(names, func(n string) bool {
		return n == model || n == model+":latest" || strings.Contains(n, "*")
	})
}

func listed(names []string) string {
	if len(names) > modelsToldMax {
		return strings.Join(names[:modelsToldMax], ", ") + fmt.Sprintf(" and %d more", len(names)-modelsToldMax)
	}
	return strings.Join(names, ", ")
}

// models asks what is served; nil where that cannot be had, and then the report says why.
func (e *Endpoint) models(ctx context.Context, r *fleet.Report) *list {
	target := e.base.JoinPath("models")
	body, status, err := e.fetch(ctx, target, probeMax)
	r.State = fleet.StateDown
	var l list
	switch {
	case err != nil:
		r.Reason = e.unreachable(err)
	case status == http.StatusServiceUnavailable && waits(body):
		r.State, r.Reason = fleet.StateLoading, "it is not ready: "+readError(body).message
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		r.Reason = e.astray(ctx, target, status)
		if e.known.Load() && e.quirk.Load().guess {
			r.State = fleet.StateUnknown // a provider that lists nothing
		}
	case status != http.StatusOK:
		r.Reason = e.answered(target, status, body)
	case json.Unmarshal(body, &l) != nil:
		r.Reason = fmt.Sprintf("GET %s answers with something that is no list of models: is the url that of an OpenAI-compatible API?", target)
	default:
		r.State, r.Reason = fleet.StateUp, ""
		return &l
	}
	return nil
}

// answered says what a refusal means.
func (e *Endpoint) answered(target *url.URL, status int, body []byte) string {
	switch {
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && e.cfg.Key == "":
		return fmt.Sprintf("GET %s wants a key (status %d): give it one as key_env or key_file", target, status)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Sprintf("GET %s refuses the key of %s (status %d)", target, e.cfg.KeyName, status)
	case status == http.StatusBadRequest && e.base.Scheme == "http" && (bytes.Contains(body, []byte("HTTPS server")) || bytes.Contains(body, []byte("HTTPS port"))): // Go's and nginx's words
		return e.base.Host + speaksTLS
	case status >= 300 && status < 400:
		return fmt.Sprintf("GET %s answers with a redirect (status %d): write as url what it points to", target, status)
	}
	s := fmt.Sprintf("GET %s answers %d", target, status)
	if t := readError(body); t.message != "" {
		s += ": " + t.message
	}
	return s
}

const speaksTLS = " speaks TLS: begin the url with https://"

// astray looks whether the path is wrong: where the usual ones answer, it says so.
func (e *Endpoint) astray(ctx context.Context, target *url.URL, status int) string {
	said := fmt.Sprintf("GET %s answers %d: is the path right?", target, status)
	for _, base := range []string{"/v1", "/v3", "/api/v1"} {
		right := *e.base
		right.Path, right.RawPath = base, ""
		if base == e.base.Path {
			continue
		}
		body, status, err := e.fetch(ctx, right.JoinPath("models"), probeMax)
		if err == nil && status == http.StatusOK && json.Unmarshal(body, new(list)) == nil {
			return fmt.Sprintf("%s %s answers: write it as url", said, &right)
		}
	}
	return said
}

// unreachable says why nothing answered.
func (e *Endpoint) unreachable(err error) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &certificate) && e.cfg.CA != "":
		return fmt.Sprintf("the certificate of %s is not trusted (%v), nor does ca %q help", e.host, certificate.Err, e.cfg.CA)
	case errors.As(err, &certificate):
		return fmt.Sprintf("the certificate of %s is not trusted (%v): name the file of the authority that signed it as ca", e.host, certificate.Err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("%s does not speak TLS: begin the url with http://", e.host)
	case e.base.Scheme == "http" && strings.Contains(err.Error(), `malformed HTTP response "\x15`):
		return e.base.Host + speaksTLS
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %q cannot be found", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s did not answer in time", e.base.Host)
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Sprintf("%s cannot be reached (%v): is the server running?", e.base.Host, err)
}

// load looks at the server's metrics.
func (e *Endpoint) load(ctx context.Context, p *probing, r *fleet.Report) {
	q := e.quirk.Load()
	for _, path := range q.metrics {
		text, status, err := e.get(ctx, path, metricsMax)
		if err != nil || status != http.StatusOK {
			continue
		}
		m := q.load.read(text)
		r.Load = m.load
		if r.Load.Hits < 0 {
			r.Load.Hits = p.hits(m.found, m.asked)
		}
		if m.cache > 0 {
			r.About.Cache = m.cache
		}
		if m.version != "" {
			r.About.Version = m.version
		}
		return
	}
}

// hits is the share of prompt tokens that were found in the prefix cache since the look before, or since the server began; where
// nothing was looked up since, the last share stands. -1 is unknown.
func (p *probing) hits(found, asked float64) float64 {
	if found < 0 || asked <= 0 {
		return -1
	}
	f, a := found-p.found, asked-p.asked
	if a == 0 && f == 0 {
		return p.last.Load.Hits
	}
	if a <= 0 || f < 0 { // it was started anew
		f, a = found, asked
	}
	p.found, p.asked = found, asked
	return min(max(f/a, 0), 1)
}

// get asks a path of the server that lies beside the API.
func (e *Endpoint) get(ctx context.Context, path string, most int64) (body []byte, status int, err error) {
	return e.fetch(ctx, e.root().JoinPath(path), most)
}

// fetch reads at most most bytes of what a GET answers.
func (e *Endpoint) fetch(ctx context.Context, u *url.URL, most int64) (body []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Host = e.host
	req.Header.Set("User-Agent", "weir")
	e.header(req.Header)
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, most))
	return body, resp.StatusCode, err
}
