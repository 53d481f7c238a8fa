// Package registry knows which models are served: their names and aliases, who steps in for each, and what a client may read about
// them. The endpoints that answer are package fleet's.
//
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

// Model is one entry: a name, and what is known of what answers for it.
type Model struct {
	ID         llm.ModelID
	Aliases    []llm.ModelID  // other names that clients may ask for it by
	Fallbacks  []llm.ModelID  // models that answer in its place, in this order, where none of its endpoints can
	Remote     bool           // an endpoint of it, or of a fallback, is another engine's: bodies are passed on, not decoded at the door
	Objectives Objectives     // what its answers should keep to, by class
	Ladder     Ladder         // what may be made less of a request rather than refuse it
	Hedge      time.Duration  // after which silence of an endpoint another is asked, too; 0 for never
	Vocabulary llm.Vocabulary // its tokens; nil where they are not known
	Created    time.Time      // told by /v1/models
	OwnedBy    string         // likewise
	About      About
}

// Objective is what an answer should keep to; zero is the usual, negative is none.
type Objective struct {
	TTFT time.Duration // from arrival to the first token
	TPOT time.Duration // mean of the tokens after it
}

// Objectives has one for each class, by its rank.
type Objectives [llm.ClassCount]Objective

// Of is a class's objective.
func (o *Objectives) Of(c llm.Class) Objective { return o[c.Rank()] }

// Ladder says how a request may be answered with less where the whole would come too late. The zero value never does.
type Ladder struct {
	Rungs  []Rung        // other models that answer in this one's place, best first
	Always bool          // every request may get less; otherwise those whose client said so
	Floor  float64       // the least quality that a rung may have
	Dwell  time.Duration // on a rung before the next better one is tried
	Tokens int           // max_tokens is made so small; 0 leaves it
	Effort string        // reasoning_effort is set to it; empty leaves it
}

// Exists reports whether there is anything to make less.
func (l *Ladder) Exists() bool { return len(l.Rungs) > 0 || l.Tokens > 0 || l.Effort != "" }

// Rung is one step of a ladder.
type Rung struct {
	Model   llm.ModelID
	Quality float64 // as its operator measured it, against 1 for the model itself; 0 is not known, and under every floor
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
	byID map[llm.ModelID]Model // by aliases, too
	list []Model               // sorted by ID
}

// Set replaces all models at once. A name or an alias that is taken twice or is no name, a fallback that is not served, or too many
// models change nothing and are an error.
func (r *Registry) Set(models []Model) error {
	if len(models) > modelsMax {
		return fmt.Errorf("registry: %d models are more than the %d that one server lists", len(models), modelsMax)
	}
	s := &snapshot{byID: make(map[llm.ModelID]Model, len(models)), list: append([]Model(nil), models...)}
	for _, m := range models {
		if err := ValidName(string(m.ID)); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		for _, name := range append([]llm.ModelID{m.ID}, m.Aliases...) {
			if err := ValidName(string(name)); err != nil {
				return fmt.Errorf("registry: alias of %q: %w", m.ID, err)
			}
			if other, ok := s.byID[name]; ok {
				return fmt.Errorf("registry: the name %q stands for the models %q and %q; give one of them another name", name, other.ID, m.ID)
			}
			s.byID[name] = m
		}
	}
	for _, m := range models {
		for _, f := range m.Fallbacks {
			if other, ok := s.byID[f]; !ok || other.ID == m.ID {
				return fmt.Errorf("registry: model %q falls back to %q, which is not another model here", m.ID, f)
			}
		}
	}
	for _, m := range models {
		for _, r := range m.Ladder.Rungs {
			if other, ok := s.byID[r.Model]; !ok || other.ID == m.ID {
				return fmt.Errorf("registry: model %q has %q on its ladder, which is not another model here", m.ID, r.Model)
			}
		}
	}
	sort.Slice(s.list, func(i, j int) bool { return s.list[i].ID < s.list[j].ID })
	r.current.Store(s)
	return nil
}

// Get finds a model by its exact name or an alias.
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
