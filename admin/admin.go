// Package admin is the operator's door: HTTP handlers that make, list and revoke keys and tell where tenants and gates stand. Answers are
// JSON, errors in OpenAI's shape.
//
// Who may come in is decided here and nowhere else: a key that may control the server, or, where the listener is on loopback and there is no
// such key, whoever is on the machine. Pages of browsers never: what comes with an Origin is refused, and without a key so is a Host
// that a stranger could have pointed here. Every control action is written to the log, with who asked and never with a secret.
//
// The package starts no goroutine and holds no lock. It decides nothing: tenant.Book keeps keys, the gates keep themselves.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/serve"
	"github.com/weir-ai/weir/tenant"
)

// Gates is what the door needs of the pipeline.
type Gates interface {
	Gates() []serve.GateState
}

// Config says who may come in. The zero value asks everybody for a key.
type Config struct {
	// Local lets in without a key as long as none may control the server: for a listener on loopback.
	Local bool
	// Hosts are further names that this server is called by without a key, beside localhost and IP addresses.
	Hosts []string
}

// Deps are the parts that the door stands on.
type Deps struct {
	Book  *tenant.Book
	Gates Gates        // nil where nothing is admitted
	Log   *slog.Logger // the audit log; nil discards
}

// Server is the door. It is safe for concurrent use.
type Server struct {
	config Config
	book   *tenant.Book
	gates  Gates
	log    *slog.Logger
	mux    *http.ServeMux
}

const (
	// bodyMax bounds a body: the longest key's description, with a thousand models, is some 64 KB.
	bodyMax = 128 << 10
	// callMost bounds a call: the slowest part is one fsync, or shared limits that do not answer.
	callMost = 10 * time.Second
)

// New makes a door.
func New(d Deps, c Config) *Server {
	s := &Server{config: c, book: d.Book, gates: d.Gates, log: d.Log, mux: http.NewServeMux()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	allowed := map[string][]string{}
	for _, r := range []struct {
		method, path string
		do           func(*visit) error
	}{
		{"POST", "/admin/keys", s.makeKey},
		{"GET", "/admin/keys", s.listKeys},
		{"DELETE", "/admin/keys/{id}", s.revokeKey},
		{"GET", "/admin/tenants", s.listTenants},
		{"GET", "/admin/tenants/{id...}", s.showTenant},
		{"GET", "/admin/gate", s.showGates},
	} {
		s.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, q *http.Request) { s.serve(w, q, r.do) })
		allowed[r.path] = append(allowed[r.path], r.method)
	}
	for path, methods := range allowed {
		list := strings.Join(methods, ", ")
		s.mux.HandleFunc(path, func(w http.ResponseWriter, q *http.Request) {
			s.serve(w, q, func(v *visit) error { return wrongMethod(v, list) })
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) { s.serve(w, q, nothingHere) })
	return s
}

// ServeHTTP answers what lies under /admin/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// visit is one request.
type visit struct {
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	now time.Time
	by  string // the id of the key that was used, or "local"
}

// serve takes one request from its head to its answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, do func(*visit) error) {
	ctx, cancel := context.WithTimeout(r.Context(), callMost)
	defer cancel()
	v := &visit{w: w, r: r, ctx: ctx, now: time.Now()}
	h := w.Header()
	h.Set("Cache-Control", "no-store") // answers hold keys
	h.Set("X-Content-Type-Options", "nosniff")
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.Error("admin panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p))
			v.fail(&llm.Error{Kind: llm.Internal})
		}
	}()
	err := s.admit(v)
	if err == nil {
		err = do(v)
	} else if r.Method != http.MethodGet {
		s.log.Warn("control refused", "method", r.Method, "path", clip(r.URL.Path), "from", r.RemoteAddr, "why", err.Error())
	}
	if err != nil {
		v.fail(llm.AsError(err))
	}
}

// admit lets a visit in or says why not.
func (s *Server) admit(v *visit) error {
	if v.r.Header.Get("Origin") != "" {
		return llm.Errorf(llm.Forbidden, "This came from a page in a browser, and no page may control this server. Use `weir key`, curl or a program.")
	}
	plain, sent := bearer(v.r.Header)
	switch {
	case sent:
		return s.withKey(v, plain)
	case !s.config.Local || s.book.Guarded():
		v.w.Header().Set("Www-Authenticate", "Bearer")
		return llm.Errorf(llm.Unauthenticated, "To control this server takes a key that may. Send one as Authorization: Bearer KEY; who runs this server makes one with `weir key new --admin`.")
	case !s.ours(v.r.Host):
		// A page can call itself by a name that its owner then lets mean this machine: to the browser it is of one site with us, and sends no Origin.
		return llm.Errorf(llm.Forbidden, "Without a key this server is controlled as localhost or by an IP address only, and not as %q: any site can let a name of its own mean this machine.", clip(v.r.Host))
	}
	v.by = "local"
	return nil
}

// withKey lets in with a key.
func (s *Server) withKey(v *visit, plain string) error {
	k, _, err := s.book.Authenticate(v.now, plain)
	if err != nil {
		v.w.Header().Set("Www-Authenticate", "Bearer")
		return err
	}
	if !k.Admin {
		return llm.Errorf(llm.Forbidden, "The key %s may ask models and not control this server. Use one that was made with `weir key new --admin`.", k.Prefix())
	}
	v.by = k.ID
	return nil
}

// ours reports whether nobody else can have pointed a host here.
func (s *Server) ours(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || host == "" { // HTTP/1.0 has none, and no browser speaks that
		return true
	}
	for _, h := range s.config.Hosts {
		if strings.EqualFold(h, name) {
			return true
		}
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// bearer gives the key of the Authorization header.
func bearer(h http.Header) (string, bool) {
	scheme, key, ok := strings.Cut(h.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !ok || key == "" || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return key, true
}

func wrongMethod(v *visit, allowed string) error {
	v.w.Header().Set("Allow", allowed)
	return &llm.Error{Kind: llm.NotFound, Code: "method_not_allowed", Message: fmt.Sprintf("%s takes %s, not %s.", clip(v.r.URL.Path), allowed, clip(v.r.Method))}
}

func nothingHere(v *visit) error {
	return llm.Errorf(llm.NotFound, "There is no %s %s here; there are /admin/keys, /admin/tenants and /admin/gate.", clip(v.r.Method), clip(v.r.URL.Path))
}

// read decodes the body into what to points at: one JSON object with known members.
func (v *visit) read(to any) error {
	d := json.NewDecoder(http.MaxBytesReader(v.w, v.r.Body, bodyMax))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind its end")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return llm.Errorf(llm.TooLarge, "The body is over %d bytes; a key takes fewer.", bodyMax)
	}
	return llm.Errorf(llm.Invalid, "The body is not what this takes: %s. Send one JSON object such as {\"tenant\": \"search\"}.", err)
}

// answer sends a value as JSON.
func (v *visit) answer(status int, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(append(text, '\n')) // a client that left is no fault of the action
	return nil
}

// fail answers with an error in OpenAI's shape.
func (v *visit) fail(e *llm.Error) {
	status := e.Kind.Meaning().Status
	if e.Code == "method_not_allowed" {
		status = http.StatusMethodNotAllowed
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(append(openai.AppendError(nil, e), '\n'))
}

// clip keeps what a client sent short in messages and logs.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// page is a list as OpenAI's API has them.
type page[T any] struct {
	Object  string `json:"object"` // "list"
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
}
