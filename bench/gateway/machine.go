package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is where the figures come from. None compares with those of another one; ratios do, within limits.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Memory float64 `json:"memory_gb"` // GB
	Load   string  `json:"load"`      // the load average at the start: what else ran
	Date   string  `json:"date"`
}

func readMachine() machine {
	info, _ := os.ReadFile("/proc/cpuinfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	m := machine{CPU: cpuModel(string(info)), Cores: runtime.NumCPU(), Kernel: strings.TrimSpace(runtime.GOOS + " " + string(kernel)),
		Go: runtime.Version(), Memory: kibibytes("/proc/meminfo", "MemTotal") / mebibyte / 1024, Date: time.Now().UTC().Format(time.DateOnly)}
	if f := strings.Fields(string(load)); len(f) > 0 {
		m.Load = f[0]
	}
	return m
}

// cpuModel is the first processor's name; the architecture where /proc tells none.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GB, %s, %s, load %s at the start, %s", m.CPU, m.Cores, m.Memory, m.Kernel, m.Go, m.Load, m.Date)
}
