package peer

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is where the figures come from. None compares with those of another one; ratios do, within limits.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Memory float64 `json:"memory_gb"` // GB
	Load   string  `json:"load"`      // the load average at the start: what else ran
	Date   string  `json:"date"`
}

// ReadMachine looks around.
func ReadMachine() Machine {
	info, _ := os.ReadFile("/proc/cpuinfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	m := Machine{CPU: cpuModel(string(info)), Cores: runtime.NumCPU(), Kernel: strings.TrimSpace(runtime.GOOS + " " + string(kernel)),
		Go: runtime.Version(), Memory: Kibibytes("/proc/meminfo", "MemTotal") / 1024 / 1024, Date: time.Now().UTC().Format(time.DateOnly)}
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

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GB, %s, %s, load %s at the start, %s", m.CPU, m.Cores, m.Memory, m.Kernel, m.Go, m.Load, m.Date)
}

// Kibibytes reads a field such as "VmRSS:  1024 kB"; 0 where it is not.
func Kibibytes(file, field string) float64 {
	text, _ := os.ReadFile(file)
	return fieldOf(string(text), field)
}

func fieldOf(text, field string) float64 {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name != field {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, _ := strconv.ParseFloat(number, 64)
		return n
	}
	return 0
}
