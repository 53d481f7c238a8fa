package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// healthz says that the process answers: what a supervisor restarts it for otherwise. It stays well while the server drains.
func (s *Server) healthz(_ context.Context, x *exchange) error {
	return x.answer(http.StatusOK, []byte(`{"status":"ok"}`))
}

// readyz says whether new work is welcome: what a load balancer sends it by.
func (s *Server) readyz(_ context.Context, x *exchange) error {
	if s.running.draining() {
		return x.answer(http.StatusServiceUnavailable, []byte(`{"status":"draining"}`))
	}
	if err := s.ready(); err != nil {
		body, _ := json.Marshal(map[string]string{"status": "not ready", "reason": err.Error()}) // two strings are always JSON
		return x.answer(http.StatusServiceUnavailable, body)
	}
	return x.answer(http.StatusOK, []byte(`{"status":"ready"}`))
}

const (
	// scrapesMax bounds what scrapers can make a server do: two Prometheus replicas and a person.
	scrapesMax = 4
	// scrapeMax ends a scrape that hangs; Prometheus itself gives up after 10 s.
	scrapeMax = 10 * time.Second
)

// tellMetrics answers in Prometheus' formats.
func (s *Server) tellMetrics() func(context.Context, *exchange) error {
	h := promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax, Timeout: scrapeMax, EnableOpenMetrics: true})
	return func(ctx context.Context, x *exchange) error {
		x.deadline(x.out.SetWriteDeadline(time.Now().Add(scrapeMax + s.cfg.WriteTimeout)))
		x.status = http.StatusOK
		h.ServeHTTP(x.w, x.r.WithContext(ctx))
		return nil
	}
}
