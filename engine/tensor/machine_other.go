//go:build !amd64

package tensor

import "runtime"

// machine says that only the plain Go kernels exist for this architecture.
func machine() features { return features{arch: runtime.GOARCH} }
