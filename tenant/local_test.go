package tenant_test

import (
	"testing"

	"github.com/weir-ai/weir/store/storetest"
	"github.com/weir-ai/weir/tenant"
)

func TestLocalCounts(t *testing.T) {
	t.Parallel()
	storetest.Counters(t, func(*testing.T) func() tenant.Counters {
		l := tenant.NewLocal()
		return func() tenant.Counters { return l }
	})
}
