//go:build !unix

package flood

import "time"

// cpuUsed is the processor time that this process has used; 0, because this system has another way to tell.
func cpuUsed() time.Duration { return 0 }
