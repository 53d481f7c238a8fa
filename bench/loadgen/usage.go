package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// share is what one watched process and its children used.
type share struct {
	CPUs     float64 // seconds of user and system time
	Cores    float64
	PerReqUs float64 // CPUs over the requests answered 200, in microseconds
	MeanMB   float64 // of sampled memory; pages that several processes share count once in all (PSS)
	PeakMB   float64
}

// usage is what the measured time cost.
type usage struct {
	wall                float64 // s
	self, other, stolen float64 // seconds of processor time: ours, everybody's but ours and the watched, the hypervisor's
	shares              map[string]share
}

// sampleEvery is seldom enough to cost nothing and often enough to see a peak of a second.
const sampleEvery = 250 * time.Millisecond

// watched is one process under watch.
type watched struct {
	name     string
	pid      int
	cpuStart float64
	peak     int64 // KiB
	sum      int64 // KiB
	n        int64
}

// watch samples the processes named by pids ("name=pid,name=pid") until end.
func watch(pids string, end time.Time) usage {
	var procs []*watched
	for pair := range strings.SplitSeq(pids, ",") {
		if name, text, ok := strings.Cut(pair, "="); ok {
			pid, _ := strconv.Atoi(text)
			procs = append(procs, &watched{name: name, pid: pid})
		}
	}
	self, began := selfCPU(), time.Now()
	busy, stolen := systemCPU()
	for _, p := range procs {
		p.cpuStart, p.peak = cpuOf(p.pid), memoryOf(p.pid)
	}
	for time.Now().Before(end) {
		time.Sleep(min(sampleEvery, max(time.Until(end), time.Millisecond)))
		for _, p := range procs {
			m := memoryOf(p.pid)
			p.peak = max(p.peak, m)
			p.sum += m
			p.n++
		}
	}
	u := usage{wall: time.Since(began).Seconds(), self: selfCPU() - self, shares: map[string]share{}}
	busyEnd, stolenEnd := systemCPU()
	u.other, u.stolen = busyEnd-busy-u.self, stolenEnd-stolen
	for _, p := range procs {
		s := share{CPUs: cpuOf(p.pid) - p.cpuStart, PeakMB: float64(p.peak) / 1024}
		s.Cores = s.CPUs / u.wall
		u.other -= s.CPUs
		if p.n > 0 {
			s.MeanMB = float64(p.sum) / float64(p.n) / 1024
		}
		u.shares[p.name] = s
	}
	return u
}

// family is a process and its children.
func family(pid int) []int {
	out := []int{pid}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		if f := statFields(file); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(strings.Split(file, "/")[2])
			out = append(out, child)
		}
	}
	return out
}

// statFields are the fields of a /proc/PID/stat after the name, which may hold anything. None of a process that has ended.
func statFields(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// ticks is how many a second has in /proc, on every Linux that is met.
const ticks = 100

// cpuOf is in seconds, user and system, of a process and its children.
func cpuOf(pid int) float64 {
	var sum float64
	for _, p := range family(pid) {
		if f := statFields(fmt.Sprintf("/proc/%d/stat", p)); len(f) > 12 {
			user, _ := strconv.ParseFloat(f[11], 64)
			system, _ := strconv.ParseFloat(f[12], 64)
			sum += (user + system) / ticks
		}
	}
	return sum
}

// memoryOf is in KiB, of a process and its children.
func memoryOf(pid int) int64 {
	var sum int64
	for _, p := range family(pid) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				sum += n
			}
		}
	}
	return sum
}

// systemCPU is in seconds over all cores since the machine started.
func systemCPU() (busy, stolen float64) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	var v []float64 // user, nice, system, idle, iowait, irq, softirq, steal
	for _, f := range slices.Collect(strings.FieldsSeq(line)) {
		if n, err := strconv.ParseFloat(f, 64); err == nil {
			v = append(v, n)
		}
	}
	if len(v) < 8 {
		return 0, 0
	}
	return (v[0] + v[1] + v[2] + v[5] + v[6]) / ticks, v[7] / ticks
}
