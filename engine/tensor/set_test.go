package tensor

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	plain := features{arch: "amd64"}
	zen3 := features{arch: "amd64", hasAVX2: true, hasFMA: true, hasF16C: true}
	zen4 := zen3
	zen4.hasF, zen4.hasBW, zen4.hasDQ, zen4.hasVL, zen4.hasVNNI = true, true, true, true, true
	skylake := zen4
	skylake.hasVNNI = false
	oddity := zen4 // AVX-512 without F16C: the AVX2 vector kernels that the AVX-512 set shares would fault
	oddity.hasF16C = false
	check := func(env string, f features, want Set, refusal string) {
		t.Helper()
		set, reason, err := choose(env, f)
		if refusal != "" {
			if err == nil || !strings.Contains(err.Error(), refusal) {
				t.Errorf("%q on %v: error %v, want one with %q", env, f, err, refusal)
			}
			return
		}
		if err != nil || set != want || !strings.Contains(reason, want.String()) || !strings.Contains(reason, f.String()) {
			t.Errorf("%q on %v: %v, %q, %v; want %v and a reason with it and the CPU", env, f, set, reason, err, want)
		}
	}
	check("", plain, Go, "")
	check("", zen3, AVX2, "")
	check("", zen4, AVX512, "")
	check("", skylake, AVX2, "")
	check("", oddity, Go, "")
	check("go", zen4, Go, "")
	check(" AVX2 ", zen4, AVX2, "")
	check("avx512", zen4, AVX512, "")
	check("avx512", skylake, Go, "avx512vl; use avx2")
	check("avx512", skylake, Go, "avx512vnni")
	check("avx2", plain, Go, "without vector extensions")
	check("sse", zen4, Go, "unknown kernel set")
}

// TestDetect: what Detect chooses for this machine is among the sets that it can run.
func TestDetect(t *testing.T) {
	t.Parallel()
	set, reason, err := Detect("")
	all := sets()
	if err != nil || set != all[len(all)-1] || reason == "" {
		t.Fatalf("Detect gave %v, %q, %v; this machine runs %v", set, reason, err, all)
	}
	t.Log(reason)
	if _, _, err := Detect("neon"); err == nil {
		t.Error("an unknown set is accepted")
	}
}
