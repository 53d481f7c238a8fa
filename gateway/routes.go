package gateway

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/weir-ai/weir/llm"
)

// route is one row of the table of what can be asked.
type route struct {
	method string
	path   string // as http.ServeMux reads it; also the label of metrics and logs
	marks  mark
	do     func(context.Context, *exchange) error
}

// mark says what else holds for a route.
type mark int

const (
	work  mark = 1 << iota // counts as running, and is refused while the server drains
	keyed                  // needs a key, where keys are required
	probe                  // polled by machines: in the access log only when it fails
	open                   // on a listener that asks for no keys
)

func (rt *route) is(m mark) bool { return rt.marks&m != 0 }

// mainRoutes are the main listener's.
func (s *Server) mainRoutes() []*route {
	rows := []*route{
		{"POST", "/v1/chat/completions", work | keyed, s.chat},
		{"POST", "/v1/completions", work | keyed, s.completion},
		{"GET", "/v1/models", keyed, s.listModels},
		{"GET", "/v1/models/{id...}", keyed, s.showModel},
		{"POST", "/tokenize", work | keyed, s.tokenize},
		{"POST", "/detokenize", work | keyed, s.detokenize},
		{"POST", "/apply-template", work | keyed, s.applyTemplate},
		{"GET", "/healthz", probe, s.healthz},
		{"GET", "/health", probe, s.healthz},
		{"GET", "/readyz", probe, s.readyz},
	}
	if s.gatherer != nil && !s.cfg.AdminApart {
		rows = append(rows, &route{"GET", "/metrics", keyed | probe, s.tellMetrics()})
	}
	return rows
}

// adminRoutes are the admin listener's.
func (s *Server) adminRoutes() []*route {
	rows := []*route{{"GET", "/healthz", probe, s.healthz}, {"GET", "/health", probe, s.healthz}, {"GET", "/readyz", probe, s.readyz}}
	if s.gatherer != nil {
		rows = append(rows, &route{"GET", "/metrics", probe, s.tellMetrics()})
	}
	return rows
}

// table finds the route of a request.
type table struct {
	rows []*route
	mux  *http.ServeMux
	none func(http.ResponseWriter, *http.Request) // for what no row names
}

// newTable makes the table of a listener; with is what holds for all of its routes.
func (s *Server) newTable(rows []*route, with mark) *table {
	t := &table{rows: rows, mux: http.NewServeMux()}
	lost := &route{path: "none", marks: with, do: t.miss}
	t.none = func(w http.ResponseWriter, r *http.Request) { s.serve(lost, w, r) }
	t.mux.HandleFunc("/", t.none)
	for _, rt := range rows {
		rt.marks |= with
		t.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { s.serve(rt, w, r) })
	}
	return t
}

// ServeHTTP is part of http.Handler. A target that is no path, such as CONNECT's, or one that a shorter path is meant by, is a miss,
// where the mux would answer in its own words.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect || !clean(r.URL.Path) {
		t.none(w, r)
		return
	}
	t.mux.ServeHTTP(w, r)
}

// clean reports whether p is a path without empty parts, "." and "..". A slash at its end is a part of it.
func clean(p string) bool {
	short := path.Clean(p)
	return strings.HasPrefix(p, "/") && (p == short || p == short+"/" && short != "/")
}

// miss answers what no row names: a browser's preflight, a wrong method, or a path that does not exist, with the nearest that does.
func (t *table) miss(_ context.Context, x *exchange) error {
	allowed := t.methods(x.r.URL.Path)
	if x.r.Method == http.MethodOptions && len(allowed) > 0 {
		x.header("Allow", strings.Join(allowed, ", "))
		x.s.origins.preflight(x, allowed)
		x.writeHead(http.StatusNoContent)
		return nil
	}
	if len(allowed) > 0 {
		x.header("Allow", strings.Join(allowed, ", "))
		e := &llm.Error{Kind: llm.NotFound, Code: "method_not_allowed", Message: fmt.Sprintf("%s takes %s, not %.20s.", clip(x.r.URL.Path), strings.Join(allowed, " or "), x.r.Method)}
		x.failure = e
		x.refuse(http.StatusMethodNotAllowed, e)
		return nil
	}
	return llm.Errorf(llm.NotFound, "There is no %s %s here; %s", clip(x.r.Method), clip(x.r.URL.Path), t.suggest(x.r.URL.Path))
}

// methods lists what a path takes.
func (t *table) methods(path string) []string {
	var out []string
	if !clean(path) {
		return nil
	}
	for _, rt := range t.rows {
		prefix, open := strings.CutSuffix(rt.path, "{id...}")
		if rt.path != path && !(open && strings.HasPrefix(path, prefix)) {
			continue
		}
		if rt.method == http.MethodGet {
			out = append(out, http.MethodGet, http.MethodHead)
		} else {
			out = append(out, rt.method)
		}
	}
	return slices.Compact(out)
}

// suggest ends the sentence "there is no such path here; ..." with what could be meant.
func (t *table) suggest(path string) string {
	best, distance := t.rows[0], 1<<30
	for _, rt := range t.rows {
		if d := levenshtein.Distance(clip(path), rt.path, nil); d < distance {
			best, distance = rt, d
		}
	}
	if distance <= max(3, len(best.path)/3) {
		return fmt.Sprintf("did you mean %s %s?", best.method, best.path)
	}
	all := make([]string, len(t.rows))
	for i, rt := range t.rows {
		all[i] = rt.method + " " + rt.path
	}
	return "served are " + strings.Join(all, ", ") + "."
}

// clip shortens what a client wrote to what a message can hold.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
