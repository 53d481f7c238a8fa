package telemetry

import (
	"bytes"
	"strings"
	"testing"
)

func TestLoggerFollowsItsConfig(t *testing.T) {
	t.Parallel()
	check := func(c LogConfig, want, not string) {
		t.Helper()
		var b bytes.Buffer
		log, err := NewLogger(&b, c)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("fine", "k", 1)
		log.Info("plain", "k", 2)
		if !strings.Contains(b.String(), want) || not != "" && strings.Contains(b.String(), not) {
			t.Errorf("%+v wrote %q", c, b.String())
		}
	}
	check(LogConfig{}, "msg=plain k=2", "fine")
	check(LogConfig{Level: "debug"}, "msg=fine k=1", "")
	check(LogConfig{Format: "json"}, `"msg":"plain","k":2`, "fine")
	if _, err := NewLogger(nil, LogConfig{Level: "loud", Format: "xml"}); err == nil || !strings.Contains(err.Error(), "loud") || !strings.Contains(err.Error(), "xml") {
		t.Errorf("a wrong config gives %v", err)
	}
}

func TestEverySystemHasItsOwnMetrics(t *testing.T) {
	t.Parallel()
	for range 2 { // a second registry in one process must not collide
		families, err := NewMetrics("v0").Gather()
		if err != nil || len(families) == 0 {
			t.Errorf("%d families, error %v", len(families), err)
		}
	}
}
