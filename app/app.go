// Package app builds every part from the configuration, starts them in order and stops them in the reverse order: one straight
// function and a stack of named stops. Nothing here is global; two whole systems run in one process.
//
// It owns the goroutines that serve the listeners, from Start to Stop. It decides nothing about a request.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/gateway"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
	"github.com/weir-ai/weir/telemetry"
	"github.com/weir-ai/weir/tenant"
)

// Options are what the surroundings give beside the configuration.
type Options struct {
	Version   string
	Kernels   string    // the value of WEIR_KERNELS
	Log       io.Writer // where Weir's own log goes
	AccessLog io.Writer // where the access log goes, if it is on
	// OwnsProcess lets the Go runtime's memory limit follow the container's.
	OwnsProcess bool
	// Loading is called before a model is loaded, which may take seconds. Nil writes a line to the log in its place.
	Loading func(name string)

	// Patient has nobody refused for coming late: a command that asks for itself rather waits.
	Patient bool

	reload bool // what runs here is not loaded anew
}

// System is one running Weir.
type System struct {
	cfg      config.Config
	options  Options
	log      *slog.Logger
	metrics  *prometheus.Registry
	models   *registry.Registry
	fleet    *fleet.Fleet
	servings servings
	machine  *local.Machine // nil where no model runs here
	gauges   *engineMetrics
	backends []*local.Backend
	watcher  *fleet.Watcher
	book     *tenant.Book
	pipeline *serve.Pipeline
	gateway  *gateway.Server
	address  net.Addr
	admin    net.Addr

	reloading sync.Mutex

	stops  stack
	once   sync.Once
	ended  chan error // a listener that failed
	stopAt error
}

// Open loads the models and builds the pipeline, and listens nowhere: what commands need that ask in this process. An error leaves
// nothing running.
func Open(cfg config.Config, o Options) (*System, error) {
	log, err := telemetry.NewLogger(o.Log, cfg.Log)
	if err != nil {
		return nil, err
	}
	s := &System{cfg: cfg, log: log, options: o, ended: make(chan error, 2), metrics: telemetry.NewMetrics(o.Version)}
	if o.OwnsProcess {
		s.followMemory()
	}
	if err := s.openTenants(cfg); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.openModels(o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	answers, err := serve.NewMetrics(s.metrics)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.pipeline = serve.New(s.models, s.fleet, serve.Options{Report: answers.Listener(), Admission: admission(cfg, o.Patient), Tenants: s.book})
	if err := s.metrics.Register(serve.NewFleetMetrics(s.fleet, s.pipeline, time.Now)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.metrics.Register(serve.NewGateMetrics(s.pipeline)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.watch()
	return s, nil
}

// Start builds and starts a whole system. When it returns, the listeners answer. An error leaves nothing running.
//
// The order of the stops is the reverse: new work is refused, running answers may end, the listeners close, the last requests settle,
// then the models stop and the workers under them.
func Start(cfg config.Config, o Options) (_ *System, err error) {
	s, err := Open(cfg, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	deps := gateway.Deps{Keys: s.book, Runner: s.pipeline, Models: s.models, Tokens: askTokens{s.fleet}, Log: s.log, Metrics: s.metrics, Gatherer: s.metrics, Ready: s.ready}
	if cfg.AccessLog {
		deps.AccessLog = o.AccessLog
	}
	door := gatewayConfig(cfg)
	// Who has made keys means them, wherever they are kept.
	door.KeysRequired = door.KeysRequired || cfg.Keys.Require == "auto" && s.book.KeyCount() > 0
	if s.gateway, err = gateway.New(deps, door); err != nil {
		return nil, err
	}
	s.stops.push("requests", s.settled)
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w (another program may have this port; choose another with --listen)", cfg.Listen, err)
	}
	s.address = listener.Addr()
	if !door.KeysRequired && !config.Loopback(cfg.Listen) {
		s.log.Warn("no key is asked for: whoever reaches this address may ask", "address", cfg.Listen)
	}
	s.serve("main", s.gateway.Listen(listener), s.gateway.Handler(), s.gateway.TLSConfig())
	if cfg.Admin != "" {
		listener, err := net.Listen("tcp", cfg.Admin)
		if err != nil {
			return nil, fmt.Errorf("admin %s: %w", cfg.Admin, err)
		}
		s.admin = listener.Addr()
		if !config.Loopback(cfg.Admin) {
			s.log.Warn("no key is asked for: whoever reaches this address may read the metrics", "address", cfg.Admin)
		}
		s.serve("admin", listener, s.adminHandler(cfg), nil)
	}
	s.stops.push("running answers", s.drain)
	return s, nil
}

// serve answers on l until the system stops. The stop closes what is left after the drain.
func (s *System) serve(name string, l net.Listener, h http.Handler, t *tls.Config) {
	server := s.gateway.HTTPServer(h)
	s.log.Info("listening", "listener", name, "address", l.Addr().String(), "tls", t != nil)
	if t != nil {
		l = tls.NewListener(l, t)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.ended <- fmt.Errorf("the %s listener failed: %w", name, err)
		}
	})
	s.stops.push("listener "+name, func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			err = server.Close()
		}
		running.Wait()
		s.gateway.Flush(ctx) // who still reads may have the rest, as long as the grace lasts
		return err
	})
}

// drain refuses new work and waits for running answers, at most until the stop's bound. After it they are cut: their clients read
// why, where they still read.
func (s *System) drain(ctx context.Context) error {
	s.gateway.Drain()
	if s.gateway.Wait(ctx) == nil {
		return nil
	}
	s.log.Warn("answers were cut at the end of the grace", "running", s.gateway.InFlight())
	s.gateway.Cut()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutWait)
	defer cancel()
	_ = s.gateway.Wait(last) // who does not read is cut with the listener, next
	return nil
}

const (
	// cutWait is how long a cut answer has to tell its client. A frame takes microseconds; a client that does not take it in a
	// second does not read.
	cutWait = time.Second
	// settledWait is how long a request may take to end after its connection has closed: a step of the slowest model.
	settledWait = 10 * time.Second
)

// settled waits for the last requests, whose connections have been closed, so that none still uses a model that stops next.
func (s *System) settled(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settledWait)
	defer cancel()
	if err := s.gateway.Wait(last); err != nil {
		return fmt.Errorf("%d requests did not end", s.gateway.InFlight())
	}
	return nil
}

// ready reports why the system cannot answer, nil while it can.
func (s *System) ready() error {
	for _, b := range s.backends {
		if err := b.Ready(); err != nil {
			return err
		}
	}
	return nil
}

// Addr is where the main listener answers.
func (s *System) Addr() net.Addr { return s.address }

// AdminAddr is where the admin listener answers, nil where there is none.
func (s *System) AdminAddr() net.Addr { return s.admin }

// Runner answers requests as the API does, for commands that run in this process.
func (s *System) Runner() llm.Runner { return s.pipeline }

// Models lists what is served.
func (s *System) Models() []registry.Model { return s.models.List() }

// Failed tells of a listener that ended by itself.
func (s *System) Failed() <-chan error { return s.ended }

// Stop refuses new work, lets running answers end within the configured grace, and then ends everything, last started first.
// Idempotent: every call returns when the one stop is complete, with its error.
func (s *System) Stop() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.Shutdown.Grace))
		defer cancel()
		s.stopAt = s.stops.unwind(ctx, s.log)
	})
	return s.stopAt
}
