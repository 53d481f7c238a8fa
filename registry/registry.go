// Package registry knows which models are served: their names, what answers for each, and what a client may read about them.
// Control writes it whole and data reads it: one immutable snapshot behind an atomic pointer, so that a reader never locks and
// never sees half a change. The package starts no goroutine, runs no model and decides nothing.
package registry

import (
	"fmt"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Model is one entry: what answers for a name, and what is known of it.
type Model struct {
	ID         llm.ModelID
	Runner     llm.Runner     // answers requests for the model
	Vocabulary llm.Vocabulary // its tokens; nil where they are not known
	Created    time.Time      // told by /v1/models
	OwnedBy    string         // likewise
	About      About
}

// About is what is known of a model's file, for /v1/models, `weir models` and logs.
type About struct {
	Architecture  string
	Parameters    int64
	Quantization  string // the main tensor type, such as Q8_0
	ContextLength int    // tokens of prompt and answer together
	Bytes         int64  // of its weights in memory
	Chat          bool   // its file has a chat template; without one it takes no messages and continues texts only
}

// modelsMax bounds a snapshot. Far above what one process can serve, and low enough that a listing stays a small answer.
const modelsMax = 1024

// Registry holds the current snapshot. The zero value is empty and ready.
type Registry struct {
	current atomic.Pointer[snapshot]
}

type snapshot struct {
	byID map[llm.ModelID]Model
	list []Model // sorted by ID
}

// Set replaces all models at once. Two models of one name, an empty name, a model without a runner or too many of them change
// nothing and are an error.
func (r *Registry) Set(models []Model) error {
	if len(models) > modelsMax {
		return fmt.Errorf("registry: %d models are more than the %d that one server lists", len(models), modelsMax)
	}
	s := &snapshot{byID: make(map[llm.ModelID]Model, len(models)), list: append([]Model(nil), models...)}
	for _, m := range models {
		if err := ValidName(string(m.ID)); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		if m.Runner == nil {
			return fmt.Errorf("registry: model %q has nothing that answers for it", m.ID)
		}
		if _, ok := s.byID[m.ID]; ok {
			return fmt.Errorf("registry: model %q is defined twice; give one of them another name", m.ID)
		}
		s.byID[m.ID] = m
	}
	sort.Slice(s.list, func(i, j int) bool { return s.list[i].ID < s.list[j].ID })
	r.current.Store(s)
	return nil
}

// Get finds a model by its exact name.
func (r *Registry) Get(id llm.ModelID) (Model, bool) {
	s := r.current.Load()
	if s == nil {
		return Model{}, false
	}
	m, ok := s.byID[id]
	return m, ok
}

// List gives all models by name. The caller must not change the slice.
func (r *Registry) List() []Model {
	s := r.current.Load()
	if s == nil {
		return nil
	}
	return s.list
}

// nameMax is longer than any published model's name and short enough for a label and a log line.
const nameMax = 200

// ValidName reports why name cannot name a model: it goes into URLs, metric labels and log lines.
func ValidName(name string) error {
	if name == "" || len(name) > nameMax {
		return fmt.Errorf("model name %.40q is empty or longer than %d bytes", name, nameMax)
	}
	const marks = "-_.:/@+"
	for _, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(marks, c) {
			return fmt.Errorf("model name %q has %q; letters, digits and %s are allowed", name, c, marks)
		}
	}
	return nil
}
