package telemetry

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

// files makes a root from pairs of path and text.
func files(pairs ...string) fstest.MapFS {
	root := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		root[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return root
}

const self = "proc/self/cgroup"

func TestCgroupLimitIsTheSmallestOnTheWayUp(t *testing.T) {
	t.Parallel()
	check := func(what string, want int64, pairs ...string) {
		t.Helper()
		got, ok := cgroupLimit(files(pairs...))
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%s: %d %v, want %d", what, got, ok, want)
		}
	}
	const v2, v1 = "sys/fs/cgroup/", "sys/fs/cgroup/memory/"
	check("a container with a namespace", 1000, self, "0::/\n", v2+"memory.max", "1000\n")
	check("no limit", 0, self, "0::/\n", v2+"memory.max", "max\n", v2+"memory.high", "max\n")
	check("memory.high below memory.max", 900, self, "0::/\n", v2+"memory.max", "1000\n", v2+"memory.high", "900\n")
	check("memory.max below memory.high", 1000, self, "0::/\n", v2+"memory.max", "1000\n", v2+"memory.high", "2000\n")
	check("a unit of systemd", 500, self, "0::/system.slice/weir.service\n", v2+"system.slice/weir.service/memory.max", "500\n", v2+"system.slice/memory.max", "max\n")
	check("a slice with less than its unit", 400, self, "0::/a.slice/weir.service\n", v2+"a.slice/weir.service/memory.max", "500\n", v2+"a.slice/memory.high", "400\n")
	check("the top, above a cgroup of which nothing is seen", 300, self, "0::/docker/4f\n", v2+"memory.max", "300\n")
	check("a process outside its namespace", 300, self, "0::/../../other\n", v2+"memory.max", "300\n")
	check("a cgroup that is gone", 300, self, "0::/a/b (deleted)\n", v2+"a/memory.max", "300\n")
	check("a name with colons", 200, self, "0::/a:b\n", v2+"a:b/memory.max", "200\n")
	check("version 1", 700, self, "9:name=systemd:/x\n4:memory:/docker/4f\n0::/\n", v1+"docker/4f/memory.limit_in_bytes", "700\n", v1+"memory.limit_in_bytes", "9223372036854771712\n")
	check("version 1 without limit", 0, self, "4:memory:/\n", v1+"memory.limit_in_bytes", "9223372036854771712\n")
	check("version 1 with several controllers", 700, self, "4:cpu,memory:/\n", v1+"memory.limit_in_bytes", "700\n")
	check("version 1, another controller", 0, self, "4:memoryless,cpu:/\n", v1+"memory.limit_in_bytes", "700\n")
	check("both versions", 600, self, "4:memory:/\n0::/\n", v1+"memory.limit_in_bytes", "700\n", v2+"memory.max", "600\n")
	check("just below what counts as none", 1<<60-1, self, "0::/\n", v2+"memory.max", "1152921504606846975\n")
	check("what counts as none", 0, self, "0::/\n", v2+"memory.max", "1152921504606846976\n")
	check("a byte", 1, self, "0::/\n", v2+"memory.max", "1\n")
	check("nothing at all", 0, self, "0::/\n", v2+"memory.max", "0\n")
	check("no number", 0, self, "0::/\n", v2+"memory.max", "9223372036854775808\n", v2+"memory.high", "-1\n")
	check("lines that are none", 0, self, "\n0\n0:\n", v2+"memory.max", "100\n")
	check("no /proc", 0, v2+"memory.max", "100\n")
}

func TestMemoryLimitFollows(t *testing.T) {
	t.Parallel()
	limited := files(self, "0::/\n", "sys/fs/cgroup/memory.max", "1000\n")
	free := files(self, "0::/\n")
	cgroup := MemoryLimit{Bytes: 900, Cgroup: 1000, Source: MemoryCgroup}
	for _, c := range []struct {
		system, operator string
		root             fstest.MapFS
		want             MemoryLimit
	}{
		{"linux", "", limited, cgroup},
		{"linux", "", free, MemoryLimit{Source: MemoryFree}},
		{"linux", "2GiB", limited, MemoryLimit{Source: MemoryOperator}},
		{"linux", "off", limited, MemoryLimit{Source: MemoryOperator}},
		{"darwin", "", limited, MemoryLimit{Source: MemoryFree}},
	} {
		if got := memoryLimit(c.system, c.operator, c.root); got != c.want {
			t.Errorf("%s GOMEMLIMIT=%q: %+v, want %+v", c.system, c.operator, got, c.want)
		}
	}
	largest := memoryLimit("linux", "", files(self, "0::/\n", "sys/fs/cgroup/memory.max", "1152921504606846975\n"))
	if largest.Bytes <= 0 || largest.Bytes >= largest.Cgroup {
		t.Errorf("90 %% of the largest limit is %d", largest.Bytes)
	}
	for _, c := range []struct {
		before, now MemoryLimit
		next        int64
		change      bool
	}{
		{MemoryLimit{}, cgroup, 900, true},
		{cgroup, cgroup, 0, false},
		{cgroup, MemoryLimit{Bytes: 1800, Cgroup: 2000, Source: MemoryCgroup}, 1800, true},
		{cgroup, MemoryLimit{Source: MemoryFree}, math.MaxInt64, true},
		{MemoryLimit{}, MemoryLimit{Source: MemoryFree}, 0, false},
		{MemoryLimit{Source: MemoryFree}, MemoryLimit{Source: MemoryFree}, 0, false},
		{MemoryLimit{}, MemoryLimit{Source: MemoryOperator}, 0, false},
	} {
		next, change := c.now.after(c.before)
		if change != c.change || change && next != c.next {
			t.Errorf("%+v after %+v: %d %v, want %d %v", c.now, c.before, next, change, c.next, c.change)
		}
	}
}

// TestLimitMemorySetsTheRuntime runs in a process of its own, because the runtime has one limit for all.
func TestLimitMemorySetsTheRuntime(t *testing.T) {
	t.Parallel()
	if os.Getenv("WEIR_TEST_LIMIT") == "child" {
		m := LimitMemory(MemoryLimit{})
		switch set := debug.SetMemoryLimit(-1); {
		case os.Getenv("GOMEMLIMIT") != "" && (m.Source != MemoryOperator || set != 3<<30):
			t.Errorf("%+v, runtime %d", m, set)
		case os.Getenv("GOMEMLIMIT") == "" && m.Source == MemoryCgroup && set != m.Bytes:
			t.Errorf("%+v, runtime %d", m, set)
		case os.Getenv("GOMEMLIMIT") == "" && m.Source == MemoryFree && set != math.MaxInt64:
			t.Errorf("%+v, runtime %d", m, set)
		}
		if again := LimitMemory(m); again != m {
			t.Errorf("%+v, then %+v", m, again)
		}
		// What was limited by a cgroup that has no limit any more is lifted, where there is none here.
		if m.Source == MemoryFree {
			debug.SetMemoryLimit(1 << 40)
			LimitMemory(MemoryLimit{Bytes: 1 << 40, Source: MemoryCgroup})
			if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 {
				t.Errorf("a limit that is gone leaves %d", set)
			}
		}
		return
	}
	for _, limit := range []string{"", "3GiB"} {
		child := exec.Command(os.Args[0], "-test.run=^TestLimitMemorySetsTheRuntime$", "-test.v")
		child.Env = append(os.Environ(), "WEIR_TEST_LIMIT=child", "GOMEMLIMIT="+limit)
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("GOMEMLIMIT=%q: %v\n%s", limit, err, out)
		}
	}
}

// TestCgroupLimitReadsARealTree uses files on disk, whose names and errors differ from a map's.
func TestCgroupLimitReadsARealTree(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{self: "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.max": "123456789\n"} {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := cgroupLimit(os.DirFS(root)); !ok || got != 123456789 {
		t.Errorf("%d %v", got, ok)
	}
	if runtime.GOOS == "linux" { // whatever this machine says, it is no nonsense
		if got, ok := cgroupLimit(os.DirFS("/")); ok && got < 1<<20 {
			t.Errorf("this process may take %d bytes", got)
		}
	}
}

func TestMemoryLimitIsLogged(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("memory", "limit", MemoryLimit{Bytes: 900, Cgroup: 1000, Source: MemoryCgroup})
	if !strings.Contains(b.String(), "limit.source=cgroup limit.bytes=900 limit.cgroup=1000") {
		t.Error(b.String())
	}
}
