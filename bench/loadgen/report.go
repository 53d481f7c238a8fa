package main

import (
	"fmt"
	"io"
	"strconv"
)

// answered counts answers by status.
func (l *load) answered() map[string]int64 {
	out := map[string]int64{}
	for status := range l.codes {
		if n := l.codes[status].Load(); n > 0 {
			out[strconv.Itoa(status)] = n
		}
	}
	return out
}

// perRequest spreads the watched processes' time over the answers.
func (l *load) perRequest(shares map[string]share) map[string]share {
	out := map[string]share{}
	for name, s := range shares {
		if ok := l.ok.Load(); ok > 0 {
			s.PerReqUs = s.CPUs / float64(ok) * 1e6
		}
		out[name] = s
	}
	return out
}

func (l *load) okPerSecond() float64 { return float64(l.ok.Load()) / l.measured.Seconds() }

// report is what -json prints. chunks_per_s counts the chunks of the streams that began within the measured time;
// chunks_in_window_per_s those that arrived within it, which is the rate a slow server cannot stretch.
func (l *load) report(u usage) map[string]any {
	out := map[string]any{"label": l.label, "mode": l.mode, "c": l.connections, "rate": l.rate, "secs": u.wall, "codes": l.answered(),
		"ok_rps": l.okPerSecond(), "err_io": l.ioErrors.Load(), "err_dial": l.dialErrors.Load(), "short_streams": l.short.Load(),
		"latency": l.all.latency.row(), "loadgen_cores": u.self / u.wall, "other_cores": u.other / u.wall, "steal_cores": u.stolen / u.wall,
		"procs": l.perRequest(u.shares)}
	if l.objective > 0 {
		out["good_rps"] = float64(l.good.Load()) / l.measured.Seconds()
		out["slo_s"] = l.objective.Seconds()
	}
	if row := l.refused.row(); row != nil {
		out["error_latency"] = row
	}
	if row := l.all.sendLag.row(); row != nil {
		out["send_lag"] = row
	}
	if l.streaming() {
		out["ttft"], out["gap"], out["chunk_oneway"], out["stream_total"] =
			l.all.firstToken.row(), l.all.gap.row(), l.all.oneWay.row(), l.all.total.row()
		out["chunks_per_s"] = float64(l.all.oneWay.n) / l.measured.Seconds()
		out["chunks_in_window_per_s"] = float64(l.chunks.Load()) / l.measured.Seconds()
	}
	return out
}

// print is the report for people, in microseconds.
func (l *load) print(w io.Writer, u usage) {
	_, _ = fmt.Fprintf(w, "%s mode=%s ok/s=%.0f codes=%v io_err=%d dial_err=%d short=%d loadgen_cores=%.2f other=%.2f steal=%.2f\n",
		l.label, l.mode, l.okPerSecond(), l.answered(), l.ioErrors.Load(), l.dialErrors.Load(), l.short.Load(),
		u.self/u.wall, u.other/u.wall, u.stolen/u.wall)
	for _, h := range []struct {
		name string
		*histogram
	}{{"latency", l.all.latency}, {"errlat", l.refused}, {"sendlag", l.all.sendLag}, {"ttft", l.all.firstToken}, {"gap", l.all.gap},
		{"oneway", l.all.oneWay}, {"total", l.all.total}} {
		if r := h.row(); r != nil {
			_, _ = fmt.Fprintf(w, "  %-9s n=%.0f mean=%.0f p50=%.0f p90=%.0f p99=%.0f p99.9=%.0f max=%.0f us\n",
				h.name, r["n"], r["mean_us"], r["p50_us"], r["p90_us"], r["p99_us"], r["p999_us"], r["max_us"])
		}
	}
	if l.objective > 0 {
		_, _ = fmt.Fprintf(w, "  good (<=%v) %.1f/s\n", l.objective, float64(l.good.Load())/l.measured.Seconds())
	}
	for name, s := range l.perRequest(u.shares) {
		_, _ = fmt.Fprintf(w, "  %-8s cores=%.2f cpu/req=%.1fus pss mean=%.1fMB peak=%.1fMB\n", name, s.Cores, s.PerReqUs, s.MeanMB, s.PeakMB)
	}
}
