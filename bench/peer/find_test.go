package peer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadVersion(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		if got := ReadVersion(text); got != want {
			t.Errorf("version of %q is %q, want %q", text, got, want)
		}
	}
	check("nginx version: nginx/1.22.1\n", "1.22.1")
	check("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus", "2.6.12-1+deb12u4")
	check("10:11:12 - retrying in 2.5s\n\nLiteLLM: Current Version = 1.106.2\n", "1.106.2")
	check("weir 1.2.3 linux\n", "1.2.3")
	check("version: 0bdb3720 (abcd1234), built at unknown", "0bdb3720")
	check("version: 250 (0bdb372), built at today", "250")
	check("", "")
}

func TestInstalled(t *testing.T) {
	if got := Variable("llama-swap"); got != "WEIR_BENCH_LLAMA_SWAP" {
		t.Errorf("variable %s", got)
	}
	find := func() (string, error) { return Installed("weir-bench-none") }
	if _, err := find(); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "WEIR_BENCH_WEIR_BENCH_NONE") {
		t.Errorf("%v, want an error that tells how to name the program", err)
	}
	program := filepath.Join(t.TempDir(), "peer")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_BENCH_WEIR_BENCH_NONE", program)
	if got, err := find(); err != nil || got != program {
		t.Errorf("found %q, %v; want %q", got, err, program)
	}
	t.Setenv("WEIR_BENCH_WEIR_BENCH_NONE", program+"x")
	if _, err := find(); err == nil || errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), program+"x") {
		t.Errorf("%v, want an error that names the wrong program", err)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	check := func(want float64, values ...float64) {
		t.Helper()
		if got := Median(values); got != want {
			t.Errorf("median of %v is %v, want %v", values, got, want)
		}
	}
	check(0)
	check(3, 3)
	check(2, 3, 1)
	check(2, 9, 1, 2)
	check(2.5, 9, 1, 2, 3)
	values := []float64{3, 1, 2}
	Median(values)
	if values[0] != 3 {
		t.Errorf("median changed what it was given: %v", values)
	}
}

func TestReadProc(t *testing.T) {
	t.Parallel()
	if got := cpuModel("processor : 0\nmodel name\t: AMD EPYC 9R14\nmodel name : other\n"); got != "AMD EPYC 9R14" {
		t.Errorf("CPU %q", got)
	}
	status := "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    1536 kB\n"
	hwm, rss, none := fieldOf(status, "VmHWM"), fieldOf(status, "VmRSS"), fieldOf(status, "VmX")
	if hwm != 2048 || rss != 1536 || none != 0 {
		t.Errorf("VmHWM %v, VmRSS %v, none %v", hwm, rss, none)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	got := []string{Thousands(999.4), Thousands(999.5), Thousands(1_234_567), Thousands(0), Number(0.049), Number(1), Number(10), Factor(1.006), Factor(12.4)}
	want := []string{"999", "1,000", "1,234,567", "0", "0.05", "1.0", "10", "1.01", "12"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("number %d is %q, want %q", i, got[i], want[i])
		}
	}
}
