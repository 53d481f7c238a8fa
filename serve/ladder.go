package serve

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
)

// ladder is where on its ladder a model is: admit decides, this keeps it under a lock.
type ladder struct {
	mu struct {
		sync.Mutex
		admit.Ladder
		rungs []admit.Rung // scratch
	}
}

// descend finds the model that answers a request: the one it asks for, or a rung below where that would come too late and the request
// allows it. Where anything is too late, the request also gets what else the ladder makes less.
func (p *Pipeline) descend(model registry.Model, a *answer) registry.Model {
	l := &model.Ladder
	a.req, a.variant, a.degraded = a.asked, "", nil
	if !l.Exists() || bound(a.req) {
		return model
	}
	if len(l.Rungs) > 0 {
		a.variant = model.ID
	}
	if !l.Always && !a.req.Variants {
		return model
	}
	v, _ := p.ladders.LoadOrStore(model.ID, &ladder{})
	steps := v.(*ladder)
	now := p.now()
	objective := model.Objectives.Of(a.req.Class).TTFT
	steps.mu.Lock()
	defer steps.mu.Unlock()
	rungs := append(steps.mu.rungs[:0], p.rung(now, &model, 1, a.req))
	chosen := []registry.Model{model}
	for _, r := range l.Rungs {
		if m, ok := p.models.Get(r.Model); ok {
			rungs, chosen = append(rungs, p.rung(now, &m, r.Quality, a.req)), append(chosen, m)
		}
	}
	steps.mu.rungs = rungs
	steps.mu.Dwell = l.Dwell
	at := steps.mu.Choose(now, rungs, objective, l.Floor)
	if first := rungs[0]; at > 0 || !first.OK || objective > 0 && first.TTFT > objective {
		p.lessen(l, &model, a)
	}
	if at > 0 {
		a.variant = chosen[at].ID
		p.report.steppedDown(model.ID, string(a.variant))
	}
	return chosen[at]
}

// rung asks a model's gate when it could begin.
func (p *Pipeline) rung(now time.Time, m *registry.Model, quality float64, req *llm.Request) admit.Rung {
	g := p.gate(m)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(now)
	start, ttft, ok := g.mu.admit.Predict(now, entryOf(req))
	return admit.Rung{Start: start, TTFT: ttft, OK: ok, Quality: quality}
}

// lessen makes less of a request what its model's ladder allows, and notes what.
func (p *Pipeline) lessen(l *registry.Ladder, m *registry.Model, a *answer) {
	if n := a.req.Limits.MaxTokens; l.Tokens > 0 && (n > l.Tokens || n == 0 && !says(a.req, "max_tokens", "max_completion_tokens")) && least(a.req) <= l.Tokens {
		a.req, a.degraded = fewer(a.req, l.Tokens), append(a.degraded, "max_tokens")
		p.report.steppedDown(m.ID, "max_tokens")
	}
	if l.Effort != "" && a.req.Task == llm.Chat && higher(effort(a.req), l.Effort) {
		a.req, a.degraded = calmer(a.req, l.Effort), append(a.degraded, "reasoning_effort")
		p.report.steppedDown(m.ID, "reasoning_effort")
	}
}

// bound reports whether a request is made for this model's tokens, which another would read as others.
func bound(r *llm.Request) bool {
	tokens := func(p llm.Prompt) bool { return p.Tokens != nil }
	return r.Going != nil || r.Task == llm.Completion && (r.Lazy != nil && r.Shape.Whole || slices.ContainsFunc(r.Prompts, tokens))
}

// says reports whether the body has one of these members.
func says(r *llm.Request, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return openai.Get(r.Body, r.Fields, n) != nil })
}

// least is how many tokens the answer must have.
func least(r *llm.Request) int {
	n, _ := strconv.Atoi(string(openai.Get(r.Body, r.Fields, "min_tokens")))
	return max(n, r.Limits.MinTokens)
}

// effort is the reasoning_effort that a request asks for; empty where it does not say.
func effort(r *llm.Request) string {
	if v := openai.Get(r.Body, r.Fields, "reasoning_effort"); len(v) > 2 && v[0] == '"' {
		return openai.Unquote(v[1 : len(v)-1])
	}
	return r.Template.ReasoningEffortHint
}

// higher reports whether asked is more reasoning than most; what is not said or not known is.
func higher(asked, most string) bool {
	order := []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
	at := slices.Index(order, asked)
	return at < 0 || at > slices.Index(order, most)
}

// fewer is r with a lower max_tokens.
func fewer(r *llm.Request, tokens int) *llm.Request {
	name, value := "max_tokens", strconv.AppendInt(nil, int64(tokens), 10)
	if openai.Get(r.Body, r.Fields, "max_completion_tokens") != nil {
		name = "max_completion_tokens"
	}
	return changed(r, func(whole *llm.Request) { whole.Limits.MaxTokens = tokens }, openai.Member{Name: name, Value: value})
}

// calmer is r with another reasoning_effort.
func calmer(r *llm.Request, effort string) *llm.Request {
	return changed(r, func(whole *llm.Request) { whole.Template.ReasoningEffortHint = effort }, openai.Member{Name: "reasoning_effort", Value: openai.AppendQuoted(nil, effort)})
}

// changed is a copy of r that is another in one respect, for hands that pass its body on as for those that decode it.
func changed(r *llm.Request, change func(*llm.Request), member openai.Member) *llm.Request {
	less := *r
	change(&less)
	if r.Lazy != nil {
		less.Lazy = llm.NewLazy(func() (*llm.Request, error) {
			whole, err := r.Whole()
			if err != nil {
				return nil, err
			}
			w := *whole
			change(&w)
			return &w, nil
		})
	}
	if r.Fields != nil {
		less.Body = bytes.Join(openai.Edit(r.Body, r.Fields, member), nil)
		fields, err := openai.Fields(less.Body)
		if err != nil { // an edit of a checked body is one; what is not passed on as it should be is passed on as it was
			return r
		}
		less.Fields = fields
	}
	return &less
}
