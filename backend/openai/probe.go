package openai

import (
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

	"github.com/weir-ai/weir/fleet"
)

const (
	// probeMax bounds what is read of an answer to a probe, metricsMax of metrics: a server of many models with all their histograms.
	probeMax   = 1 << 20
	metricsMax = 8 << 20
	// modelsToldMax is how many models a reason lists.
	modelsToldMax = 5
)

// Probe asks the endpoint how it is: its health, what it serves, its load; and what it is, until that is known.
func (e *Endpoint) Probe(ctx context.Context) fleet.Report {
	r := fleet.Report{State: fleet.StateUp, Load: fleet.UnknownLoad()}
	models, reason := e.models(ctx)
	if reason != "" {
		r.State, r.Reason = fleet.StateDown, reason
		return r
	}
	if !e.known.Load() {
		e.quirk.Store(e.detect(ctx, models))
		e.known.Store(true)
	}
	q := e.quirk.Load()
	r.Continues = q.continues
	r.About = fleet.About{Kind: q.name, Version: e.version(ctx, q), Models: models.names()}
	r.About.Context = models.context(e.cfg.Model)
	if loading := e.loading(ctx, q); loading != "" {
		r.State, r.Reason = fleet.StateLoading, loading
		return r
	}
	if q.slots != "" {
		r.About.Slots = e.slots(ctx, q)
	}
	if q.load != nil {
		if text, status, err := e.get(ctx, q.metrics, metricsMax); err == nil && status == http.StatusOK {
			r.Load, r.About.Cache = q.load.readLoad(text)
		}
	}
	if m := e.cfg.Model; m != "" && len(models.Data) > 0 && !slices.Contains(r.About.Models, m) {
		r.State, r.Reason = fleet.StateDown, fmt.Sprintf("it does not serve the model %q; it serves %s", m, listed(r.About.Models))
	}
	return r
}

// list is the answer to GET /v1/models.
type list struct {
	Data []struct {
		ID      string `json:"id"`
		OwnedBy string `json:"owned_by"`
		Context int    `json:"max_model_len"` // vLLM, SGLang and Weir
		Meta    struct {
			Context int `json:"n_ctx_train"` // llama.cpp
		} `json:"meta"`
	} `json:"data"`
}

func (l *list) names() (out []string) {
	for _, m := range l.Data {
		out = append(out, m.ID)
	}
	return out
}

func (l *list) context(model string) int {
	for _, m := range l.Data {
		if m.ID == model || len(l.Data) == 1 {
			return max(m.Context, m.Meta.Context)
		}
	}
	return 0
}

func listed(names []string) string {
	if len(names) > modelsToldMax {
		return strings.Join(names[:modelsToldMax], ", ") + fmt.Sprintf(" and %d more", len(names)-modelsToldMax)
	}
	return strings.Join(names, ", ")
}

// models asks what is served; the reason says why that cannot be had, for whoever runs this server.
func (e *Endpoint) models(ctx context.Context) (l list, reason string) {
	target := e.base.JoinPath("models")
	body, status, err := e.fetch(ctx, target, probeMax)
	switch {
	case err != nil:
		return l, e.unreachable(err)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		if e.cfg.Key == "" {
			return l, fmt.Sprintf("it wants a key (status %d); give it one as key_env or key_file", status)
		}
		return l, fmt.Sprintf("it refuses the key of %s (status %d)", e.cfg.KeyName, status)
	case status == http.StatusNotFound:
		return l, e.astray(ctx, target)
	case status == http.StatusServiceUnavailable:
		return l, "" // a server that loads its model: its health says so
	case status != http.StatusOK:
		return l, fmt.Sprintf("GET %s answers with status %d", target.Path, status)
	case json.Unmarshal(body, &l) != nil:
		return l, fmt.Sprintf("GET %s answers with something that is no list of models; is the url one of an OpenAI-compatible API?", target.Path)
	}
	return l, ""
}

// astray looks whether the path is wrong: the usual one answers.
func (e *Endpoint) astray(ctx context.Context, target *url.URL) string {
	if !strings.HasSuffix(e.base.Path, "/v1") {
		right := *e.base
		right.Path = "/v1"
		if _, status, err := e.fetch(ctx, right.JoinPath("models"), probeMax); err == nil && status == http.StatusOK {
			return fmt.Sprintf("GET %s answers 404, and /v1/models answers: the url should end in /v1", target.Path)
		}
	}
	return fmt.Sprintf("GET %s answers 404; is the path of the url right?", target.Path)
}

// unreachable says why nothing answered.
func (e *Endpoint) unreachable(err error) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &certificate):
		return fmt.Sprintf("its certificate is not trusted (%v); name the authority that signed it as ca", certificate.Err)
	case errors.As(err, &record):
		return "it does not speak TLS; should the url begin with http://?"
	case errors.As(err, &dns):
		return fmt.Sprintf("its host %q cannot be found", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the address
	}
	return fmt.Sprintf("it cannot be reached: %v", err)
}

// detect finds the kind by what the server says on the paths that the table names.
func (e *Endpoint) detect(ctx context.Context, models list) *quirk {
	for i := range kinds {
		q := &kinds[i]
		if q.ours != "" && len(models.Data) > 0 && models.Data[0].OwnedBy == q.ours {
			return q
		}
		if q.path == "" {
			continue
		}
		body, status, err := e.get(ctx, q.path, probeMax)
		if err != nil || status != http.StatusOK {
			continue
		}
		if !slices.ContainsFunc(q.sign, func(s string) bool { return !strings.Contains(string(body), s) }) {
			return q
		}
	}
	return quirkOf("openai")
}

// version is what the server says of its version.
func (e *Endpoint) version(ctx context.Context, q *quirk) string {
	if q.version == "" {
		return ""
	}
	body, status, err := e.get(ctx, q.version, probeMax)
	if err != nil || status != http.StatusOK {
		return ""
	}
	var v struct {
		Version string `json:"version"`
		Build   string `json:"build_info"`      // llama.cpp
		LiteLLM string `json:"litellm_version"` // LiteLLM
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return plain(v.Version + v.Build + v.LiteLLM)
}

// slots is how many answers the server computes together.
func (e *Endpoint) slots(ctx context.Context, q *quirk) int {
	body, status, err := e.get(ctx, q.slots, probeMax)
	var v struct {
		Slots int `json:"total_slots"`
	}
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &v) != nil {
		return 0
	}
	return max(v.Slots, 0)
}

// loading says why a server that answers is not ready; empty where it is.
func (e *Endpoint) loading(ctx context.Context, q *quirk) string {
	if q.health == "" {
		return ""
	}
	body, status, err := e.get(ctx, q.health, probeMax)
	if err != nil || status != http.StatusServiceUnavailable {
		return ""
	}
	if t := readError(body); t.message != "" {
		return "it is not ready: " + t.message
	}
	return "it says that it is not ready"
}

// get asks a path of the server that lies beside the API.
func (e *Endpoint) get(ctx context.Context, path string, most int64) (body []byte, status int, err error) {
	u := *e.base
	u.Path, u.RawPath = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/v1"), "/")+path, ""
	return e.fetch(ctx, &u, most)
}

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
