// Package telemetry sets up what the other packages report through: the structured logger and the metric registry. It only
// builds; metrics and log lines live in the packages that know them, which are handed these. It starts no goroutine, holds no
// lock, keeps nothing global and sends nothing anywhere.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// LogConfig says what is logged and how. The zero value is text from level info.
type LogConfig struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error; empty is info"`
	Format string `yaml:"format" doc:"text or json; empty is text"`
}

// Validate reports every fault of c.
func (c LogConfig) Validate() []string {
	var bad []string
	if _, err := c.level(); err != nil {
		bad = append(bad, err.Error())
	}
	if c.Format != "" && c.Format != "text" && c.Format != "json" {
		bad = append(bad, fmt.Sprintf("log.format %q is not known; it is text or json", c.Format))
	}
	return bad
}

func (c LogConfig) level() (slog.Level, error) {
	var l slog.Level
	if c.Level == "" {
		return slog.LevelInfo, nil
	}
	if err := l.UnmarshalText([]byte(strings.ToUpper(c.Level))); err != nil {
		return l, fmt.Errorf("log.level %q is not known; it is debug, info, warn or error", c.Level)
	}
	return l, nil
}

// NewLogger makes the logger that c describes, writing to w.
func NewLogger(w io.Writer, c LogConfig) (*slog.Logger, error) {
	if bad := c.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(bad, "; "))
	}
	level, _ := c.level()
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// NewMetrics makes a registry that tells of the process and the Go runtime; every system in a process has one of its own.
func NewMetrics(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_build_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	r.MustRegister(info)
	return r
}
