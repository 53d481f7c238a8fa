package storetest_test

import (
	"testing"

	"github.com/weir-ai/weir/store/storetest"
	"github.com/weir-ai/weir/tenant"
)

// TestLocalCounts runs the suite on the counters of one process, whose replicas are one.
func TestLocalCounts(t *testing.T) {
	t.Parallel()
	storetest.Counters(t, func(*testing.T) func() tenant.Counters {
		one := tenant.NewLocal()
		return func() tenant.Counters { return one }
	})
}
