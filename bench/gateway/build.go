package main

import (
	"context"

	"github.com/weir-ai/weir/bench/peer"
)

// buildTools builds what no measurement can be without.
func (b *bench) buildTools(ctx context.Context) error {
	for _, tool := range []string{"mock", "loadgen", "bareproxy"} {
		if err := b.build(ctx, b.dir, "./"+tool, tool); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) cache() string { return peer.Cache(b.dir) }

func (b *bench) build(ctx context.Context, module, folder, name string) error {
	return peer.Build(ctx, b.dir, module, folder, name, b.built)
}
