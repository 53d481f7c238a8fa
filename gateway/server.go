package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// Models is what the door needs of the registry.
type Models interface {
	Get(id llm.ModelID) (registry.Model, bool)
	List() []registry.Model
}

// Tokens asks a model's endpoints for the tokens of a text; path is /tokenize or /detokenize, body and answer are in vLLM's shapes.
type Tokens interface {
	Tokens(ctx context.Context, model llm.ModelID, path string, body []byte) ([]byte, error)
}

// Deps are the parts that the door stands on.
type Deps struct {
	Runner    llm.Runner            // answers requests by model name
	Models    Models                // what is served
	Keys      Keys                  // who is let in; nil knows nobody
	Tokens    Tokens                // tokens of models that other engines run; nil where there are none
	Log       *slog.Logger          // nil discards
	AccessLog io.Writer             // one JSON line a request; nil for none
	Metrics   prometheus.Registerer // where the door's metrics go; nil for nowhere
	Gatherer  prometheus.Gatherer   // what /metrics tells; nil for no such route
	Ready     func() error          // why new work cannot be answered; nil is always ready
}

// Server is the door. It is safe for concurrent use.
type Server struct {
	cfg      Config
	runner   llm.Runner
	models   Models
	tokens   Tokens
	log      *slog.Logger
	access   *accessLog
	metrics  *metrics
	gatherer prometheus.Gatherer
	ready    func() error

	keys    Keys
	cert    *certificate // nil without TLS
	origins *origins
	bodies  budget
	running running
	behind  behind

	main, admin *table

	descend func(net.Listener) context.Context // what every request's context descends from
	cut     context.CancelCauseFunc            // ends all of them
}

// New makes a door. An error names every fault of the configuration.
func New(d Deps, c Config) (*Server, error) {
	if bad := c.Validate(); len(bad) > 0 {
		return nil, errors.New("gateway: " + strings.Join(bad, "; "))
	}
	c = c.withDefaults()
	s := &Server{cfg: c, runner: d.Runner, models: d.Models, keys: d.Keys, tokens: d.Tokens, log: d.Log, access: newAccessLog(d.AccessLog), gatherer: d.Gatherer, ready: d.Ready}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.ready == nil {
		s.ready = func() error { return nil }
	}
	var err error
	if c.Cert != "" {
		if s.cert, err = newCertificate(c.Cert, c.CertKey, s.log); err != nil {
			return nil, err
		}
	}
	if s.origins, err = newOrigins(c.Origins); err != nil {
		return nil, err
	}
	s.bodies.most = c.BodiesTotal
	if s.metrics, err = newMetrics(d.Metrics, s); err != nil {
		return nil, err
	}
	base, cut := context.WithCancelCause(context.Background())
	s.descend, s.cut = func(net.Listener) context.Context { return base }, cut
	asks := open
	if c.KeysRequired {
		asks = 0
	}
	s.main, s.admin = s.newTable(s.mainRoutes(), asks), s.newTable(s.adminRoutes(), open)
	return s, nil
}

// Handler answers the API.
func (s *Server) Handler() http.Handler { return s.main }

// AdminHandler answers health and metrics, and asks for no key: its listener is for those who run the server.
func (s *Server) AdminHandler() http.Handler { return s.admin }

// TLSConfig is for the main listener; nil where it speaks plain HTTP. The certificate is read again when its files change.
func (s *Server) TLSConfig() *tls.Config {
	if s.cert == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.cert.get}
}

// HTTPServer makes the server for h with the door's limits. It has no write timeout of its own: a stream may last as long as it
// flows, and every write sets its own deadline.
func (s *Server) HTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, BaseContext: s.descend, ConnContext: withConn,
		ReadHeaderTimeout: s.cfg.ReadHeader, IdleTimeout: s.cfg.Idle, MaxHeaderBytes: s.cfg.Header,
		ErrorLog: slog.NewLogLogger(quiet{s.log.Handler()}, slog.LevelWarn),
	}
}

// quiet lets net/http's complaints pass but for failed handshakes, which every port scan and TCP probe makes: they are for debugging.
type quiet struct{ slog.Handler }

// Handle is part of slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "TLS handshake error") {
		if r.Level = slog.LevelDebug; !q.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return q.Handler.Handle(ctx, r)
}

// errCut is why a request ends that outlasts the grace of a stop.
var errCut = &llm.Error{Op: "stop", Kind: llm.Draining, Message: "This server is stopping, and the answer was cut at the end of its grace; try again, another replica may answer."}

// Drain refuses new work from now on. What runs goes on.
func (s *Server) Drain() { s.running.drain() }

// Wait returns when no request runs, or with the error of ctx.
func (s *Server) Wait(ctx context.Context) error { return s.running.wait(ctx) }

// Cut ends every running request that came through a server of HTTPServer: its client reads that the server stops. Wait tells
// when they have ended.
func (s *Server) Cut() { s.cut(errCut) }

// InFlight is how many requests run.
func (s *Server) InFlight() int { return s.running.count() }

// serve takes one request from its head to its account.
func (s *Server) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	x := s.begin(rt, w, r)
	welcome := !rt.is(work) || s.running.enter()
	if welcome && rt.is(work) {
		defer s.running.leave() // after the account is settled: who waits for the last request waits for that, too
	}
	defer s.settle(x)
	defer x.contain()
	if !welcome {
		x.fail(&llm.Error{Kind: llm.Draining})
		return
	}
	if err := x.authenticate(); err != nil {
		x.fail(err)
		return
	}
	if err := s.origins.check(x); err != nil {
		x.fail(err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Request)
	defer cancel()
	if err := rt.do(ctx, x); err != nil {
		x.fail(err)
	}
}
