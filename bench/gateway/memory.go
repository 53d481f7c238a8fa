package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-ai/weir/bench/peer"
)

// memory is what a server holds, in MB of 2^20 bytes. Of several processes it is their sum.
type memory struct {
	Now  float64 `json:"now"`  // VmRSS of one process; PSS of several, for pages they share would count once for each
	Peak float64 `json:"peak"` // VmHWM since it was last reset; of several processes an upper bound, for the same reason
}

const mebibyte = 1024 // KiB

// readMemory is zero where there is no /proc.
func readMemory(pids []int) memory {
	var m memory
	for _, pid := range pids {
		status := fmt.Sprintf("/proc/%d/status", pid)
		m.Peak += peer.Kibibytes(status, "VmHWM") / mebibyte
		if len(pids) == 1 {
			m.Now += peer.Kibibytes(status, "VmRSS") / mebibyte
		} else {
			m.Now += peer.Kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss") / mebibyte
		}
	}
	return m
}

// resetPeak lets VmHWM begin at what is held now. Where that is not allowed, peaks are since the start.
func resetPeak(pids []int) {
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

// descendants are a process and all below it.
func descendants(pid int) []int {
	children := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent := parentOf(string(text))
		children[parent] = append(children[parent], child)
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// parentOf reads the parent's id of a /proc/PID/stat. The name before it stands in parentheses and may hold anything.
func parentOf(stat string) int {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}
