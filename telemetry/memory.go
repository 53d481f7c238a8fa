package telemetry

import (
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// MemoryLimit is what the Go runtime keeps its memory under, and why.
type MemoryLimit struct {
	Bytes  int64        // for heap, stacks and the runtime's own; 0 where there is no limit
	Cgroup int64        // bytes that the cgroup may take; 0 where it has no limit or is not what counts
	Source MemorySource // what said so
}

// MemorySource is what a MemoryLimit comes from.
type MemorySource string

const (
	// MemoryFree: nothing limits the memory but the machine.
	MemoryFree MemorySource = "none"
	// MemoryOperator: GOMEMLIMIT is set in the environment and stands as the runtime read it.
	MemoryOperator MemorySource = "GOMEMLIMIT"
	// MemoryCgroup: the limit of the cgroup, or of one above it.
	MemoryCgroup MemorySource = "cgroup"
)

// LogValue tells the limit as a group of attributes.
func (m MemoryLimit) LogValue() slog.Value {
	return slog.GroupValue(slog.String("source", string(m.Source)), slog.Int64("bytes", m.Bytes), slog.Int64("cgroup", m.Cgroup))
}

// memoryShare, in percent of the cgroup's limit, is what Go may take. The kernel counts more than the runtime does: socket buffers of
// thousands of streams, page tables, pages of the binary and of files; and the runtime's limit is a soft one, which a burst between
// two collections oversteps. More than 90 leaves too little for those, and the kernel kills without a word. Less would only make the
// collector run more often for memory that then lies idle: with 80, 2 GB of 10.
const memoryShare = 90

// LimitMemory lets the Go runtime's memory limit follow the cgroup's: 90 % of the smallest of memory.max and memory.high (version 2) or
// memory.limit_in_bytes (version 1), of the process's own cgroup and all above it. Without it the runtime collects when the heap has
// doubled, which it may do beyond the limit of the container, and the kernel kills the process. GOMEMLIMIT in the environment is an
// operator's word, also "off": then nothing is changed. On other systems than Linux there is nothing to follow.
//
// Call it once before models are loaded, with the zero MemoryLimit, and log what it returns. Containers can be resized in place, so call
// it again now and then with what it returned before: it reads a handful of small files, which takes well under a millisecond, so a
// minute is cheap and soon enough for something that people do by hand. A limit that is gone is lifted. The runtime has one limit for
// the whole process, and so only who owns the process calls this; two systems in one process would set the same value.
//
// What the limit does not count. Model files are mapped, not read: their pages are the kernel's page cache, which the cgroup is charged
// for but Go is not. They are clean, so the kernel drops them before it kills, and no room is kept for them here. While a model loads,
// its file pages and the repacked weights, which do lie in the Go heap, exist side by side, and that is fine for the same reason. But
// a model that goes on being read from its map, when the heap takes the whole 90 %, is read from the disk again and again: slow, not
// dead. A container needs the repacked weights (about the size of the file), the KV cache and some 100 MB, and a tenth on top.
//
// What the limit cannot do. It is soft. Where what is alive (weights, KV cache, bodies) is over it, the collector runs all the time, on
// at most half of the processors, and the process still grows; the alert WeirMemoryNearLimit tells before.
func LimitMemory(before MemoryLimit) MemoryLimit {
	m := memoryLimit(runtime.GOOS, os.Getenv("GOMEMLIMIT"), os.DirFS("/"))
	if next, change := m.after(before); change {
		debug.SetMemoryLimit(next)
	}
	return m
}

// memoryLimit decides, from the system's name, the value of GOMEMLIMIT and the file system's root.
func memoryLimit(system, operator string, root fs.FS) MemoryLimit {
	if operator != "" { // the runtime, too, takes an empty value for none
		return MemoryLimit{Source: MemoryOperator}
	}
	if system == "linux" {
		if limit, ok := cgroupLimit(root); ok {
			return MemoryLimit{Bytes: limit / 100 * memoryShare, Cgroup: limit, Source: MemoryCgroup}
		}
	}
	return MemoryLimit{Source: MemoryFree}
}

// after is the value for debug.SetMemoryLimit where m follows before, and whether there is anything to set: nothing is where no cgroup
// speaks and none did, because the limit may then be somebody else's.
func (m MemoryLimit) after(before MemoryLimit) (next int64, change bool) {
	switch {
	case m.Source == MemoryCgroup:
		return m.Bytes, m.Bytes != before.Bytes
	case m.Source == MemoryFree && before.Source == MemoryCgroup:
		return math.MaxInt64, true
	}
	return 0, false
}

const (
	// cgroupRoot is where every distribution and container runtime mounts the hierarchies; other places would be in /proc/self/mountinfo,
	// which is not worth its parser.
	cgroupRoot = "sys/fs/cgroup"
	// cgroupUnlimited is where a limit stops being one: version 1 writes "none" as the largest multiple of a page below 2^63, and no
	// machine has an exabyte.
	cgroupUnlimited = 1 << 60
)

// cgroupLimit finds the smallest memory limit in bytes of the process's cgroup and those above it, by /proc/self/cgroup below root;
// false where there is none. Above it too, because a pod limits what its containers take together, and a slice its units. In a container
// without a cgroup namespace the path is the host's and does not exist below the mount, whose top is then the container's own: walking
// up finds it, and what is missing on the way is passed over.
func cgroupLimit(root fs.FS) (int64, bool) {
	paths, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	smallest := int64(cgroupUnlimited)
	for line := range strings.Lines(string(paths)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // hierarchy:controllers:path
		if len(fields) != 3 {
			continue
		}
		mount, files := cgroupFiles(fields[0], fields[1])
		if len(files) == 0 {
			continue
		}
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			for _, name := range files {
				if v, ok := cgroupBytes(root, path.Join(mount, at, name)); ok {
					smallest = min(smallest, v)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return smallest, smallest < cgroupUnlimited
}

// cgroupFiles says where a hierarchy is mounted and which of its files limit memory: none, where it has other controllers. On hosts with
// both versions, version 2 either has no memory files, and then they are not found, or it is the one that limits.
func cgroupFiles(hierarchy, controllers string) (mount string, files []string) {
	if hierarchy == "0" {
		// memory.high, too: beyond it the kernel slows the process down until it is under it again, which is no way to serve.
		return cgroupRoot, []string{"memory.max", "memory.high"}
	}
	for name := range strings.SplitSeq(controllers, ",") {
		if name == "memory" {
			return path.Join(cgroupRoot, "memory"), []string{"memory.limit_in_bytes"}
		}
	}
	return "", nil
}

// cgroupBytes reads one limit; false where there is no file, or it says "max", or something that is no limit.
func cgroupBytes(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return v, err == nil && v > 0
}
