// Package testdata finds the shared data folder that tests hold Weir against: real vocabularies, golden logits, traces. The
// folder lies beside the checkout (`../shared/data` from its root) and is not part of it, so a user's clone has none: tests
// then skip and say so. In CI (CI=true) a missing file fails, because there nothing may be skipped in silence. The package
// owns no goroutine and no lock, and never writes.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Path returns the absolute path of name inside the shared data folder; it skips t where the folder is absent, and fails it
// in CI. WEIR_TESTDATA names another place for the folder, or says "none" where a CI machine has none.
func Path(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("WEIR_TESTDATA")
	if root == "" {
		_, self, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(self), "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" && root != "none" {
		t.Fatalf("shared data %q is missing; CI must have it (set WEIR_TESTDATA to its folder)", name)
	}
	t.Skipf("shared data %q is not here: put the data folder beside the checkout or set WEIR_TESTDATA", name)
	return ""
}

// Bytes reads the file that Path finds.
func Bytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
