package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// built is an endpoint that runs, with what it was built from.
type built struct {
	spec     config.Endpoint
	endpoint *fleet.Endpoint
	remote   *openai.Endpoint // nil for an embedded one
	backend  *local.Backend   // nil for a remote one
}

// served is one model with what answers for it.
type served struct {
	spec   config.Model
	begun  time.Time
	listed []*built           // in the order of the configuration; nil where an entry finds its endpoints
	found  map[int][]*built   // by the entry that found them
	finds  []*fleet.Discovery // what looks for them
}

// servings is what the configuration has become: changed as a whole by a reload, and by what is discovered.
type servings struct {
	mu struct {
		sync.Mutex
		models map[string]*served
	}
}

// openModels builds what the configuration names, or the built-in model where it names nothing.
func (s *System) openModels(o Options) error {
	s.models, s.fleet = &registry.Registry{}, &fleet.Fleet{}
	s.servings.mu.models = map[string]*served{}
	var err error
	if s.gauges, err = newEngineMetrics(s.metrics); err != nil {
		return err
	}
	if err := s.openMachine(o); err != nil {
		return err
	}
	s.stops.push("discovery", s.endDiscovery)
	for _, m := range modelsOf(s.cfg) {
		v, err := s.build(m, nil, o)
		if err != nil {
			return err
		}
		s.servings.mu.Lock()
		s.servings.mu.models[m.name] = v
		s.servings.mu.Unlock()
	}
	s.awaitDiscovery()
	return s.publish()
}

// openMachine starts the embedded engine's workers, where a model needs them.
func (s *System) openMachine(o Options) error {
	needed := false
	for _, m := range modelsOf(s.cfg) {
		needed = needed || slices.ContainsFunc(m.spec.All(m.name), func(e config.Endpoint) bool { return !e.Remote() })
	}
	if !needed {
		return nil
	}
	machine, err := local.NewMachine(s.cfg.Engine.Threads, o.Kernels)
	if err != nil {
		return err
	}
	s.machine = machine
	s.stops.push("workers", func(context.Context) error { machine.Close(); return nil })
	s.log.Info("engine started", "chosen", machine.Reason)
	return nil
}

// build makes what answers for one model. Endpoints of before whose configuration is the same are kept, with what is known of them;
// those that were found stay until their entry finds others. With before, models that run here are kept or refused: loading one takes
// memory twice, and its stop belongs below the requests that use it. An error leaves nothing running.
func (s *System) build(m named, before *served, o Options) (_ *served, err error) {
	v := &served{spec: m.spec, begun: time.Now(), found: map[int][]*built{}}
	if before != nil {
		v.begun = before.begun
	}
	defer func() {
		if err != nil {
			s.leaveModel(v, map[string]*served{"": before})
		}
	}()
	for i, spec := range m.spec.All(m.name) {
		if spec.Watch != "" || spec.Discover != "" {
			v.listed = append(v.listed, nil)
			s.servings.mu.Lock()
			v.found[i] = before.keepFound(m.name, spec)
			s.servings.mu.Unlock()
			if err := s.discover(m.name, v, i, spec); err != nil {
				return nil, err
			}
			continue
		}
		b := before.keep(spec)
		if b == nil && !spec.Remote() && o.reload {
			return nil, fmt.Errorf("model %q runs in this process and has changed: that needs a restart", m.name)
		}
		if b == nil {
			if b, err = s.open(m, spec, o); err != nil {
				return nil, err
			}
		}
		v.listed = append(v.listed, b)
	}
	return v, nil
}

// keep finds an endpoint that is built already from the same words.
func (v *served) keep(spec config.Endpoint) *built {
	if v == nil {
		return nil
	}
	for _, b := range v.listed {
		if b != nil && reflect.DeepEqual(b.spec, spec) {
			return b
		}
	}
	return nil
}

// keepFound gives the endpoints that an entry of the same words had found.
func (v *served) keepFound(model string, spec config.Endpoint) []*built {
	if v == nil {
		return nil
	}
	for i, was := range v.spec.All(model) {
		if v.listed[i] == nil && reflect.DeepEqual(was, spec) {
			return v.found[i]
		}
	}
	return nil
}

// open builds one endpoint.
func (s *System) open(m named, spec config.Endpoint, o Options) (*built, error) {
	if !spec.Remote() {
		return s.openEmbedded(m, spec, o)
	}
	return s.openRemote(m.name, spec, "")
}

// openRemote makes the hand that reaches another engine; host is what its certificate is for, where that is not in the URL.
func (s *System) openRemote(model string, spec config.Endpoint, host string) (*built, error) {
	hand, err := spec.Hand()
	if err != nil {
		return nil, fmt.Errorf("model %q: endpoint %q: %w", model, spec.Name, err)
	}
	hand.Host = host
	remote, err := openai.New(llm.EndpointID(spec.Name), hand)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", model, err)
	}
	return &built{spec: spec, remote: remote, endpoint: fleet.New(fleet.Spec{
		ID: llm.EndpointID(spec.Name), Runner: remote, Slots: spec.Slots, Weight: spec.Weight, Continues: remote.Continues(),
	})}, nil
}

// openEmbedded loads a model file and starts an engine for it.
func (s *System) openEmbedded(m named, spec config.Endpoint, o Options) (*built, error) {
	if s.machine == nil {
		return nil, fmt.Errorf("model %q: the embedded engine was not started; restart Weir to serve files", m.name)
	}
	name := m.name
	if len(m.spec.Endpoints) > 0 {
		name += "/" + spec.Name
	}
	if o.Loading != nil {
		o.Loading(name)
	} else {
		s.log.Info("loading model", "model", name)
	}
	begun := time.Now()
	engine := s.cfg.Engine.Over(m.spec.Engine).Over(spec.Engine).Local()
	b, err := openModel(name, spec, s.machine, engine, s.gauges.listener(name))
	if err != nil {
		return nil, err
	}
	s.backends = append(s.backends, b)
	s.stops.push("model "+name, func(context.Context) error { return b.Close() })
	s.gauges.watch(name, b)
	a := b.About()
	s.log.Info("model loaded", "model", name, "architecture", a.Architecture, "parameters", a.Parameters, "type", a.Quantization,
		"context", a.ContextLength, "bytes", a.Bytes, "took", time.Since(begun).Round(time.Millisecond))
	return &built{spec: spec, backend: b, endpoint: fleet.New(fleet.Spec{
		ID: llm.EndpointID(spec.Name), Runner: b, Embedded: true, Slots: engine.WithDefaults().Sequences, Weight: spec.Weight, Continues: fleet.ContinuesTokens,
	})}, nil
}

// publish tells registry and fleet what is served now.
func (s *System) publish() error {
	s.servings.mu.Lock()
	defer s.servings.mu.Unlock()
	var models []registry.Model
	endpoints := map[llm.ModelID][]*fleet.Endpoint{}
	for name, v := range s.servings.mu.models {
		models = append(models, v.entry(name))
		for i := range v.listed {
			for _, b := range v.at(i) {
				endpoints[llm.ModelID(name)] = append(endpoints[llm.ModelID(name)], b.endpoint)
			}
		}
	}
	for i := range models { // a body may end at a fallback or on a rung, so that it is decoded only where every one of them is embedded
		elsewhere := slices.Clone(models[i].Fallbacks)
		for _, r := range models[i].Ladder.Rungs {
			elsewhere = append(elsewhere, r.Model)
		}
		for _, f := range elsewhere {
			if j := slices.IndexFunc(models, func(m registry.Model) bool { return m.ID == f || slices.Contains(m.Aliases, f) }); j >= 0 {
				models[i].Remote = models[i].Remote || models[j].Remote
			}
		}
	}
	return errors.Join(s.fleet.Set(endpoints), s.models.Set(models))
}

// at gives the endpoints of one entry of the configuration.
func (v *served) at(i int) []*built {
	if b := v.listed[i]; b != nil {
		return []*built{b}
	}
	return v.found[i]
}

// entry is the model as the registry has it. What is known of a file is told where the model is one.
func (v *served) entry(name string) registry.Model {
	m := registry.Model{Objectives: objectives(v.spec.Objective), Ladder: ladder(v.spec.Ladder), ID: llm.ModelID(name), Aliases: config.Names(v.spec.Aliases), Fallbacks: config.Names(v.spec.Fallbacks), Hedge: time.Duration(v.spec.Hedge), Created: v.begun, OwnedBy: "weir"}
	for i := range v.listed {
		if b := v.listed[i]; b != nil && b.backend != nil {
			if m.Vocabulary == nil {
				m.Vocabulary, m.About = b.backend, b.backend.About()
			}
			continue
		}
		m.Remote = true
	}
	if m.Vocabulary == nil {
		m.About.Chat = true // nobody knows what another engine's model can, and most can chat
	}
	return m
}
