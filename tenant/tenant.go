// Package tenant says who may ask for how much: keys, classes, limits a minute, concurrency, budgets of a day or a month in tokens
// and money, and which models. A request's tokens are reserved before it starts and settled when it has ended, so that any number of
// requests at once cannot take more than a limit holds.
//
// Book is the whole: safe for concurrent use, an immutable snapshot of tenants and keys behind an atomic pointer, and counters that are
// either in this process (Local) or shared by several. Between Start and Stop it owns one goroutine, which saves changed levels every
// second, reads keys again that another process changed, renews leases and sends settlements to shared counters. Local has one
// lock a tenant; nothing is called with a lock held.
//
// The package never sees a prompt or an answer, never keeps a plain key, and decides nothing about order: that is the gate's.
package tenant

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Limits hold at any moment. A minute's limit is a bucket that holds it whole and is refilled evenly.
type Limits struct {
	Requests   int // a minute; 0 none
	Tokens     int // of prompts and answers, a minute; 0 none
	Concurrent int // requests at once; 0 none
}

func (l Limits) none() bool { return l == Limits{} }

// Per is how often a budget begins anew.
type Per uint8

// The periods of budgets.
const (
	Day Per = iota
	Month
)

// String is the period's name in configurations and in the names of tallies.
func (p Per) String() string {
	if p == Month {
		return "month"
	}
	return "day"
}

// ParsePer reads a period's name.
func ParsePer(s string) (Per, error) {
	switch s {
	case "day":
		return Day, nil
	case "month":
		return Month, nil
	}
	return Day, fmt.Errorf("period %q is not known; it is day or month", s)
}

// Budget is what a tenant may spend in a period: tokens, money or both. A tenant has one at most for each period.
type Budget struct {
	Tokens int64          // 0: no bound
	Money  Money          // 0: no bound; by Config.Prices
	Per    Per            //
	Zone   *time.Location // whose midnight begins it; nil is UTC
}

// Tenant is who keys belong to.
type Tenant struct {
	ID      llm.TenantID
	Class   llm.Class // the highest that its requests can have; unset counts as standard
	Weight  float64   // its share against other tenants of its class; 0 is 1
	Limits  Limits
	Budgets []Budget
	Models  []string // which it may ask for: names, exact or with a trailing *; empty is all
}

// Config is what an operator writes about tenants. The zero value lets everybody do everything.
type Config struct {
	Tenants []Tenant
	// Others holds for each tenant that Tenants does not name, the one without a name too, whose requests have no key. Nil bounds none
	// of them. Its ID is not read.
	Others *Tenant
	Keys   []Key            // beside those that the Keeper has
	Prices map[string]Price // by model: its name, or a beginning of it and *; the longest that fits. What fits none is free
}

const (
	// keysMax: far more than one server's clients; 100,000 are some 60 MB and found in one step each.
	keysMax    = 100_000
	tenantsMax = 100_000
	modelsMax  = 1_000
	weightMax  = 1_000
	// OutputMax bounds one answer in reservations, so that sums fit: larger than any context.
	OutputMax = 100_000_000
)

// Validate names every fault, each with its field, its value and the fix.
func (c Config) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if len(c.Tenants) > tenantsMax {
		add("tenants has %d entries; %d at most", len(c.Tenants), tenantsMax)
	}
	seen := map[llm.TenantID]bool{}
	for _, t := range c.Tenants {
		if seen[t.ID] {
			add("tenant %q is there twice; keep one", t.ID)
		}
		seen[t.ID] = true
		for _, fault := range t.Validate() {
			add("tenant %s: %s", t.ID, fault)
		}
	}
	if c.Others != nil {
		for _, fault := range c.Others.Validate() {
			add("other tenants: %s", fault)
		}
	}
	for name, p := range c.Prices {
		if p.Input < 0 || p.Cached < 0 || p.Output < 0 || max(p.Input, p.Cached, p.Output) > MoneyMax {
			add("prices of %q are out of range; each is 0 to %s for a million tokens", name, MoneyMax)
		}
		if err := validModels([]string{name}); err != nil {
			add("prices: %v", err)
		}
	}
	if _, err := newRing(c.Keys); err != nil {
		add("keys: %v", err)
	}
	return bad
}

// Validate names every fault of a tenant, its ID aside where it has none.
func (t Tenant) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if err := validID(t.ID); err != nil {
		bad = append(bad, err.Error())
	}
	if !(t.Weight >= 0 && t.Weight <= weightMax) {
		add("weight %v is out of range; it is above 0 and at most %d", t.Weight, weightMax)
	}
	for _, l := range []struct {
		name  string
		value int
	}{{"requests", t.Limits.Requests}, {"tokens", t.Limits.Tokens}, {"concurrent", t.Limits.Concurrent}} {
		if l.value < 0 || l.value > LimitMax {
			add("limits.%s %d is out of range; it is 0 (none) to %d", l.name, l.value, LimitMax)
		}
	}
	seen := map[Per]bool{}
	for _, b := range t.Budgets {
		if b.Tokens < 0 || b.Money < 0 || b.Tokens == 0 && b.Money == 0 || b.Tokens > int64(MoneyMax) || b.Money > MoneyMax {
			add("the budget of a %s has %d tokens and %s of money; give it one of them at least, at most %d and %s", b.Per, b.Tokens, b.Money, int64(MoneyMax), MoneyMax)
		}
		if seen[b.Per] {
			add("there are two budgets of a %s; keep one, it can have both tokens and money", b.Per)
		}
		seen[b.Per] = true
	}
	if err := validModels(t.Models); err != nil {
		bad = append(bad, err.Error())
	}
	return bad
}

// validID keeps tenants' names short and printable: they stand in headers, logs and rows.
func validID(id llm.TenantID) error {
	odd := strings.ContainsFunc(string(id), func(r rune) bool { return r < ' ' || r == 0x7f })
	if len(id) > nameMax || odd {
		return fmt.Errorf("tenant %.40q is not a name; it has at most %d bytes and no control characters", id, nameMax)
	}
	return nil
}

func validModels(models []string) error {
	if len(models) > modelsMax {
		return fmt.Errorf("models has %d entries; %d at most", len(models), modelsMax)
	}
	for _, m := range models {
		if m == "" || strings.Contains(strings.TrimSuffix(m, "*"), "*") {
			return fmt.Errorf("model %q is no name; write a name, or the beginning of names and *", m)
		}
	}
	return nil
}

// allows reports whether a list of models has this one.
func allows(models []string, m llm.ModelID) bool {
	return len(models) == 0 || slices.ContainsFunc(models, func(p string) bool { return matches(p, m) })
}

func matches(pattern string, m llm.ModelID) bool {
	begin, open := strings.CutSuffix(pattern, "*")
	if open {
		return strings.HasPrefix(string(m), begin)
	}
	return pattern == string(m)
}

// priceOf finds the price with the longest name that fits.
func priceOf(prices map[string]Price, m llm.ModelID) Price {
	if p, ok := prices[string(m)]; ok {
		return p
	}
	best, at := Price{}, -1
	for name, p := range prices {
		if len(name) > at && matches(name, m) {
			best, at = p, len(name)
		}
	}
	return best
}
