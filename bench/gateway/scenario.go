package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scenario is one kind of load.
type scenario struct {
	name string
	// Closed loop: connections; open loop: arrivals a second; streams: how many at once.
	load int
	// slow is the load for servers that are an order of magnitude slower than the others, which would only show that they fail.
	slow int
	args func(load int) []string // of loadgen
	// answersMin is how many answers there must be, in further runs of the same load where one run did not bring them; 0: one run.
	answersMin int
}

// The load's shapes. A stream is streamChunks chunks, one every streamInterval, which the mock is started with.
const (
	streamChunks   = 100
	streamInterval = 20 * time.Millisecond
	streamLength   = streamChunks * streamInterval
	streamSeconds  = float64(streamLength) / float64(time.Second)
	// bigWords make a body of 150 KB: the length of a long document with its conversation.
	bigWords = 16_100
	// bigAnswersMin bodies of 150 KB are 225 MB, more than any gateway may keep.
	bigAnswersMin = 1500
	bigRunsMax    = 4
)

func scenarios() []scenario {
	return []scenario{
		{name: "closed64", load: 64, slow: 64, args: func(n int) []string { return []string{"-mode", "closed", "-c", strconv.Itoa(n)} }},
		{name: "open2000", load: 2000, slow: 100, args: func(n int) []string { return []string{"-mode", "open", "-rate", strconv.Itoa(n)} }},
		{name: "stream500", load: 500, slow: 50, args: func(n int) []string { return []string{"-mode", "stream", "-c", strconv.Itoa(n)} }},
		{name: "big256", load: 256, slow: 256, answersMin: bigAnswersMin, args: func(n int) []string {
			return []string{"-mode", "closed", "-c", strconv.Itoa(n), "-prompt", strconv.Itoa(bigWords)}
		}},
	}
}

func scenarioNames() []string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.name)
	}
	return out
}

// lasts is the measured time. Streams are measured over whole streams' lengths, for a part of one would count some streams twice.
func (s scenario) lasts(seconds int) time.Duration {
	d := time.Duration(seconds) * time.Second
	if s.name == "stream500" {
		d = (d + streamLength - 1) / streamLength * streamLength
	}
	return d
}

// quantiles are those of loadgen, in microseconds.
type quantiles struct {
	N   float64 `json:"n"`
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
}

// generated is what loadgen reports, as far as the table needs it.
type generated struct {
	Codes    map[string]int64 `json:"codes"`
	OK       float64          `json:"ok_rps"`
	IO       int64            `json:"err_io"`
	Dial     int64            `json:"err_dial"`
	Short    int64            `json:"short_streams"`
	Latency  quantiles        `json:"latency"`
	OneWay   quantiles        `json:"chunk_oneway"`
	Chunks   float64          `json:"chunks_in_window_per_s"`
	Cores    float64          `json:"loadgen_cores"`
	Stolen   float64          `json:"steal_cores"`
	Other    float64          `json:"other_cores"`
	Watching map[string]struct {
		Cores    float64
		PerReqUs float64
	} `json:"procs"`
}

// outcome is one scenario of one round.
type outcome struct {
	Load           int     `json:"load"` // connections, arrivals a second, or streams
	PerSecond      float64 `json:"requests_per_second"`
	P50            float64 `json:"p50_ms"` // of a chunk's way in streams, else from the scheduled arrival to the end of the answer
	P99            float64 `json:"p99_ms"`
	Chunks         float64 `json:"chunks_per_second,omitempty"`
	Answers        int64   `json:"answers"`
	Failed         int64   `json:"failed"`
	FailedBy       string  `json:"failed_by,omitempty"` // how many each: a status, a broken or refused connection, a stream without its end
	Cores          float64 `json:"server_cores"`
	CPUPerRequest  float64 `json:"server_cpu_us_per_request"`
	GeneratorCores float64 `json:"generator_cores"`
	StolenCores    float64 `json:"stolen_cores"`
	OtherCores     float64 `json:"other_cores"` // of what is no part of the measurement
	Memory         memory  `json:"memory_mb"`   // after it
	Fault          string  `json:"fault,omitempty"`
}

// readOutcome reads loadgen's report.
func readOutcome(text []byte) (outcome, error) {
	var g generated
	if err := json.Unmarshal(text, &g); err != nil {
		return outcome{}, fmt.Errorf("loadgen's report %q: %w", text, err)
	}
	o := outcome{PerSecond: g.OK, Chunks: g.Chunks, GeneratorCores: g.Cores, StolenCores: g.Stolen, OtherCores: g.Other}
	q := g.Latency
	if g.OneWay.N > 0 {
		q = g.OneWay
	}
	o.P50, o.P99 = q.P50/1000, q.P99/1000
	o.Answers = g.Codes["200"]
	failures := map[string]int64{"broken": g.IO, "refused": g.Dial, "cut": g.Short}
	for status, n := range g.Codes {
		if status != "200" {
			failures["status "+status] = n
		}
	}
	var by []string
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		if n := failures[name]; n > 0 {
			o.Failed += n
			by = append(by, fmt.Sprintf("%d %s", n, name))
		}
	}
	o.FailedBy = strings.Join(by, ", ")
	o.Cores, o.CPUPerRequest = g.Watching[watchedServer].Cores, g.Watching[watchedServer].PerReqUs
	return o, nil
}

// The names under which loadgen watches processes. Whatever else runs on the machine is other work.
const (
	watchedServer = "server"
	watchedMock   = "mock"
)

// lateMax bounds what loadgen needs beyond its own time: the warm-up, answers that are late, and its end.
const lateMax = 90 * time.Second

// aim is what a load is aimed at: an address, and the processes behind it. server is 0 where the mock itself is asked.
type aim struct {
	addr         string
	mock, server int
}

// runLoad runs one scenario against the address, again where it needs more answers.
func (b *bench) runLoad(ctx context.Context, s scenario, at aim, slow bool) (outcome, error) {
	load := s.load
	if slow {
		load = s.slow
	}
	first, err := b.runLoadOnce(ctx, s, load, at)
	for i := 1; err == nil && i < bigRunsMax && first.Answers > 0 && first.Answers < int64(s.answersMin); i++ {
		var more outcome
		more, err = b.runLoadOnce(ctx, s, load, at)
		first.Answers += more.Answers
		first.Failed += more.Failed
	}
	return first, err
}

func (b *bench) runLoadOnce(ctx context.Context, s scenario, load int, at aim) (outcome, error) {
	lasts := s.lasts(b.seconds)
	ctx, cancel := context.WithTimeout(ctx, lasts+lateMax)
	defer cancel()
	pids := watchedMock + "=" + strconv.Itoa(at.mock)
	if at.server != 0 {
		pids += "," + watchedServer + "=" + strconv.Itoa(at.server)
	}
	args := append(s.args(load), "-addr", at.addr, "-d", lasts.String(), "-json", "-key", benchKey, "-model", benchModel, "-pids", pids)
	text, err := exec.CommandContext(ctx, filepath.Join(b.cache(), "loadgen"), args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return outcome{}, fmt.Errorf("loadgen in %s: %w", s.name, err)
	}
	o, err := readOutcome(text)
	o.Load = load
	return o, err
}
