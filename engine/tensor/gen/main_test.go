package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreCurrent: what is committed is what the generator writes.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for name, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what gen writes: run go generate ./engine/tensor", name)
		}
	}
}
