package sim

import "github.com/weir-ai/weir/workload"

// Job is one request of a workload.
type Job = workload.Request
