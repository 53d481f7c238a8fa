package app

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// askTokens asks the endpoints of a model for tokens, those that are up first, until one can tell.
type askTokens struct{ fleet *fleet.Fleet }

// Tokens is part of gateway.Tokens.
func (a askTokens) Tokens(ctx context.Context, model llm.ModelID, path string, body []byte) (answer []byte, err error) {
	for _, well := range []bool{true, false} {
		for _, e := range a.fleet.Endpoints(model) {
			teller, ok := e.Runner().(interface {
				Tokens(ctx context.Context, path string, body []byte) ([]byte, error)
			})
			if down := e.Facts(time.Now()).Health.State == fleet.StateDown; !ok || down == well {
				continue
			}
			if answer, err = teller.Tokens(ctx, path, body); err == nil || llm.AsError(err).Fault == llm.FaultNone {
				return answer, err
			}
		}
	}
	if err == nil {
		err = llm.InvalidField("model", "The tokens of model %q are not known here; ask where it runs.", model)
	}
	return nil, fmt.Errorf("tokens: %w", err)
}
