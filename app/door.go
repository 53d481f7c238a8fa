package app

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weir-ai/weir/admin"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/gateway"
)

// gatewayConfig is cfg as the door takes it.
func gatewayConfig(cfg config.Config) gateway.Config {
	l := cfg.Limits
	out := gateway.Config{
		KeysRequired: cfg.KeysRequired(), Cert: cfg.TLS.Cert, CertKey: cfg.TLS.Key, Origins: cfg.CORS.Origins,
		AdminApart: cfg.Admin != "", IgnoreUnknown: cfg.UnknownFields == "ignore",
		Body: int64(l.Body), BodiesTotal: int64(l.BodiesTotal), Header: int(l.Header),
		ReadHeader: time.Duration(l.ReadHeader), ReadBody: time.Duration(l.ReadBody), Idle: time.Duration(l.Idle),
		Request: time.Duration(l.Request), WriteTimeout: time.Duration(l.WriteTimeout),
	}
	return out
}

// adminHandler is what the admin listener answers: health and metrics to everybody, and control to those who may.
func (s *System) adminHandler(cfg config.Config) http.Handler {
	var hosts []string
	for _, o := range cfg.CORS.Origins {
		if u, err := url.Parse(o); err == nil && u.Host != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	control := admin.New(admin.Deps{Book: s.book, Gates: s.pipeline, Log: s.log.With("audit", true)}, admin.Config{Local: config.Loopback(cfg.Admin), Hosts: hosts})
	rest := s.gateway.AdminHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // not a ServeMux, which would redirect what it finds unclean
		if strings.HasPrefix(r.URL.Path, "/admin/") {
			control.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}
