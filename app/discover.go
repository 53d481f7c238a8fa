package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// sourceOf is where an entry of the configuration finds its endpoints.
func sourceOf(spec config.Endpoint) (fleet.Source, error) {
	base := llm.EndpointID(spec.Name)
	switch {
	case spec.Watch != "":
		return fleet.NewFile(base, spec.Watch)
	case spec.Discover == "srv":
		return fleet.NewSRV(base, spec.URL, nil)
	}
	return fleet.NewDNS(base, spec.URL, nil)
}

// discover begins to look for the endpoints of entry i of a model. What is found is served from then on, without a restart.
func (s *System) discover(model string, v *served, i int, spec config.Endpoint) error {
	source, err := sourceOf(spec)
	if err != nil {
		return fmt.Errorf("model %q: endpoint %q: %w", model, spec.Name, err)
	}
	log := s.log.With("model", model, "entry", spec.Name)
	v.finds = append(v.finds, fleet.Discover(source, fleet.DiscoveryOptions{
		Found: func(list []fleet.Target) {
			log.Info("endpoints found", "count", len(list))
			s.found(model, v, i, spec, list)
		},
		Failed:    func(err error) { log.Warn("endpoints cannot be found; the last list stays in force", "error", err) },
		Recovered: func() { log.Info("endpoints can be found again") },
	}))
	return nil
}

// found takes the endpoints that an entry has now. Those of before that are still there keep what is known of them.
func (s *System) found(model string, v *served, i int, spec config.Endpoint, list []fleet.Target) {
	s.servings.mu.Lock()
	before := v.found[i]
	var after []*built
	for _, t := range list {
		one := spec
		one.Name, one.URL, one.Weight = string(t.Name), t.URL, t.Weight*max(spec.Weight, 0)
		if spec.Weight == 0 {
			one.Weight = t.Weight
		}
		if at := slices.IndexFunc(before, func(b *built) bool { return reflect.DeepEqual(b.spec, one) }); at >= 0 {
			after = append(after, before[at])
			continue
		}
		b, err := s.openRemote(model, one, t.Host)
		if err != nil {
			s.log.Warn("an endpoint was found that cannot be used", "model", model, "endpoint", one.Name, "error", err)
			continue
		}
		after = append(after, b)
	}
	v.found[i] = after
	current := s.servings.mu.models[model] == v
	s.servings.mu.Unlock()
	if !current {
		return // the model is being built, or is no more; who put it into place publishes
	}
	if err := s.publish(); err != nil {
		s.log.Error("the endpoints that were found cannot be served", "model", model, "error", err)
	}
	leave(before, after)
}

// leave lets go of the endpoints that are not among after: their streams run to their end.
func leave(before, after []*built) {
	for _, b := range before {
		if b != nil && b.remote != nil && !slices.Contains(after, b) {
			b.remote.Close()
		}
	}
}

// endDiscovery ends all searches.
func (s *System) endDiscovery(context.Context) error {
	s.servings.mu.Lock()
	var finds []*fleet.Discovery
	for _, v := range s.servings.mu.models {
		finds = append(finds, v.finds...)
	}
	s.servings.mu.Unlock()
	for _, d := range finds {
		d.Stop()
	}
	return nil
}

// watch begins to ask the endpoints how they are.
func (s *System) watch() {
	s.watcher = fleet.Watch(s.fleet, fleet.WatchOptions{Listener: fleet.WatchListener{
		Changed: func(model llm.ModelID, e llm.EndpointID, old, state fleet.State, reason string) {
			log := s.log.With("model", model, "endpoint", e, "state", state, "before", old)
			if state == fleet.StateUp {
				log.Info("endpoint is up")
				return
			}
			log.Warn("endpoint is not up", "reason", reason)
		},
	}})
	s.stops.push("watch", func(context.Context) error { s.watcher.Stop(); return nil })
}

// Reload serves what cfg says from now on, as far as models and their endpoints go: what is the same goes on as it was, and streams of
// what was taken away run to their end. The other sections, and models that run in this process, need a restart; changes there are
// told in the log. An error changes nothing.
func (s *System) Reload(cfg config.Config) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next := map[string]*served{}
	var fresh []*served
	for _, m := range modelsOf(cfg) {
		s.servings.mu.Lock()
		before := s.servings.mu.models[m.name]
		s.servings.mu.Unlock()
		if before != nil && reflect.DeepEqual(before.spec, m.spec) {
			next[m.name] = before
			continue
		}
		v, err := s.build(m, before, Options{Log: s.options.Log, reload: true})
		if err != nil {
			for _, f := range fresh {
				s.leaveModel(f, s.served())
			}
			return fmt.Errorf("reload: %w; what was served before goes on", err)
		}
		next[m.name], fresh = v, append(fresh, v)
	}
	s.servings.mu.Lock()
	old := s.servings.mu.models
	s.servings.mu.models = next
	s.servings.mu.Unlock()
	if err := s.publish(); err != nil {
		s.servings.mu.Lock()
		s.servings.mu.models = old
		s.servings.mu.Unlock()
		for _, f := range fresh {
			s.leaveModel(f, old)
		}
		return errors.Join(fmt.Errorf("reload: %w; what was served before goes on", err), s.publish())
	}
	for name, v := range old {
		if next[name] != v {
			s.leaveModel(v, next)
		}
	}
	written, err := cfg.Book()
	if err == nil {
		err = s.book.Reload(written)
	}
	if err != nil {
		return fmt.Errorf("reload: models are served as written; tenants and keys stay as they were: %w", err)
	}
	s.tellRestart(cfg)
	s.log.Info("configuration reloaded", "models", len(next))
	return nil
}

// served is what is served now.
func (s *System) served() map[string]*served {
	s.servings.mu.Lock()
	defer s.servings.mu.Unlock()
	return maps.Clone(s.servings.mu.models)
}

// leaveModel ends the searches of a model that is no more and lets go of its endpoints, but for those that others took over.
func (s *System) leaveModel(v *served, others map[string]*served) {
	for _, d := range v.finds {
		d.Stop()
	}
	s.servings.mu.Lock() // others may be finding endpoints at this moment
	defer s.servings.mu.Unlock()
	var kept []*built
	for _, o := range others {
		if o == nil {
			continue
		}
		kept = append(kept, o.listed...)
		for _, list := range o.found {
			kept = append(kept, list...)
		}
	}
	leave(v.listed, kept)
	for _, list := range v.found {
		leave(list, kept)
	}
}

// tellRestart tells what of a new configuration waits for a restart.
func (s *System) tellRestart(cfg config.Config) {
	was, is := s.cfg, cfg
	was.Models, is.Models, was.Tenants, is.Tenants, was.Prices, is.Prices, was.Keys.List, is.Keys.List = nil, nil, nil, nil, nil, nil, nil, nil
	if !reflect.DeepEqual(was, is) {
		s.log.Warn("sections other than models, tenants, prices and keys have changed; they wait for a restart")
	}
}

// discoveryWait is how long a start waits for the first lists of endpoints, so that a client's first request finds them. A name server
// that is slower is not waited for: the models are served as they are found.
const discoveryWait = 2 * time.Second

// awaitDiscovery waits until every entry that finds its endpoints has found some.
func (s *System) awaitDiscovery() {
	for end := time.Now().Add(discoveryWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		missing := false
		s.servings.mu.Lock()
		for _, v := range s.servings.mu.models {
			for i, b := range v.listed {
				missing = missing || b == nil && len(v.found[i]) == 0
			}
		}
		s.servings.mu.Unlock()
		if !missing {
			return
		}
	}
}
