package app

import (
	"time"

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
