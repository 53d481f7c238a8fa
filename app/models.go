package app

import (
	"fmt"
	"sort"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/mini"
)

// named is a model of the configuration with its name.
type named struct {
	name string
	spec config.Model
}

// modelsOf lists the models to serve, sorted by name so that loading has an order.
func modelsOf(cfg config.Config) []named {
	if len(cfg.Models) == 0 {
		first := config.Builtins()[0]
		return []named{{first, config.Model{Builtin: first}}}
	}
	var out []named
	for name, m := range cfg.Models {
		out = append(out, named{name, m})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

func openModel(name string, spec config.Endpoint, machine *local.Machine, cfg local.Config, listener local.Listener) (*local.Backend, error) {
	if spec.File != "" {
		return local.Open(name, spec.File, machine, cfg, listener)
	}
	gguf, ok := mini.Weights(spec.Builtin)
	if !ok {
		return nil, fmt.Errorf("model %q: there is no built-in model %q", name, spec.Builtin)
	}
	return local.OpenBytes(name, gguf, machine, cfg, listener)
}
