package store

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// Disk is what a server found about the data folder's disk when it opened it.
type Disk struct {
	Sync     time.Duration // median time to make 4 KB durable
	Alone    float64       // writes a second that one caller alone can have acknowledged: a sync each
	Together float64       // writes a second that the disk lets many callers have: groupMax a sync. The processor may allow fewer
	Kind     string        // the file system's kind, where it is one to be warned of
	Warnings []string      // what is wrong with keeping data here
}

// probes is how many syncs are measured: enough that one slow one does not decide, and on a disk of 10 ms still under 0.1 s.
const probes = 9

// measure writes and syncs a small file, as a commit does.
func measure(dir string) (Disk, error) {
	f, err := os.CreateTemp(dir, "sync-*.tmp")
	if err != nil {
		return Disk{}, fmt.Errorf("data folder %s cannot be written: free space on its disk, or give it to the user that weir runs as: %w", dir, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	times := make([]time.Duration, 0, probes)
	page := make([]byte, 4096)
	for i := range probes {
		began := time.Now()
		if _, err := f.WriteAt(page, int64(i*len(page))); err != nil {
			return Disk{}, fmt.Errorf("data folder %s cannot be written: free space on its disk: %w", dir, err)
		}
		if err := syncData(f); err != nil {
			return Disk{}, fmt.Errorf("data folder %s cannot be synced, so that nothing there is durable; use a folder on a local disk: %w", dir, err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	d := Disk{Sync: max(times[probes/2], time.Nanosecond), Kind: kindOf(dir)}
	d.Alone = float64(time.Second) / float64(d.Sync)
	d.Together = d.Alone * groupMax
	if w := warning(d.Kind); w != "" {
		d.Warnings = append(d.Warnings, w)
	}
	return d, nil
}

// warning says what is wrong with a kind of file system; empty where nothing is.
func warning(kind string) string {
	switch kind {
	case "tmpfs", "ramfs":
		return "the data folder is in memory (" + kind + "): a restart of the machine loses it all; name a folder on a disk"
	case "overlay":
		return "the data folder is in a container's own layer (overlay): it is lost with the container; mount a volume there"
	case "nfs", "smb", "fuse":
		return "the data folder is on a file system (" + kind + ") whose locks and syncs may not hold what they promise; name a folder on a local disk"
	}
	return ""
}

// tell logs the accept ceiling and the warnings.
func (d Disk) tell(log *slog.Logger, dir string) {
	log.Info("data folder is open", "folder", dir, "sync_ms", float64(d.Sync.Microseconds())/1e3,
		"durable_writes_alone_per_s", int(d.Alone), "durable_writes_together_per_s_at_most", int(d.Together))
	for _, w := range d.Warnings {
		log.Warn(w, "folder", dir)
	}
}
