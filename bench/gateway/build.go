package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// cache is where programs built from this checkout lie; git ignores it.
func (b *bench) cache() string { return filepath.Join(b.dir, ".cache") }

// buildTools builds what no measurement can be without.
func (b *bench) buildTools(ctx context.Context) error {
	for _, tool := range []string{"mock", "loadgen", "bareproxy"} {
		if err := b.build(ctx, b.dir, "./"+tool, tool); err != nil {
			return err
		}
	}
	return nil
}

// build makes a program as a release does: without cgo, names or paths.
func (b *bench) build(ctx context.Context, module, folder, name string) error {
	if b.built {
		_, err := os.Stat(filepath.Join(b.cache(), name))
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(b.cache(), name), folder)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", folder, err, out)
	}
	return nil
}
