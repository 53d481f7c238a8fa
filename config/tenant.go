package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/store/valkey"
)

// Tenant is one entry of Tenants: what those who bring its keys may have.
type Tenant struct {
	Class   string       `yaml:"class" doc:"system, interactive, standard or batch; empty: standard"`
	Weight  float64      `yaml:"weight" doc:"its share against other tenants of its class; 0 is 1"`
	Limits  TenantLimits `yaml:"limits" doc:"how much at a time"`
	Budgets []Budget     `yaml:"budgets" doc:"how much in a day or a month"`
	Models  []string     `yaml:"models" doc:"what it may ask; a name may end in *; empty: everything"`
}

// TenantLimits bound what a tenant may ask at a time; 0 is no limit.
type TenantLimits struct {
	Requests   int `yaml:"requests" doc:"a minute"`
	Tokens     int `yaml:"tokens" doc:"a minute, of prompts and answers"`
	Concurrent int `yaml:"concurrent" doc:"at once"`
}

// Budget bounds what a tenant may have in a day or a month: tokens, or money as prices count it.
type Budget struct {
	Tokens int     `yaml:"tokens" doc:"of prompts and answers"`
	Money  float64 `yaml:"money" doc:"in the unit of prices"`
	Per    string  `yaml:"per" doc:"day or month"`
	Zone   string  `yaml:"zone" doc:"the time zone in which days begin, such as Europe/Berlin; empty: UTC"`
}

// Price is what a model's tokens cost, per million.
type Price struct {
	Input  float64 `yaml:"input" doc:"of a prompt"`
	Cached float64 `yaml:"cached" doc:"of a prompt, where its computation was reused"`
	Output float64 `yaml:"output" doc:"of an answer"`
}

// Shared says where several replicas keep their limits together.
type Shared struct {
	URL      string `yaml:"url" doc:"valkey://host:port or valkeys:// with TLS; empty: each process keeps its own"`
	User     string `yaml:"user" doc:"empty: default"`
	Password Secret `yaml:"password" doc:"may be ${env:NAME} or ${file:PATH}"`
	CA       string `yaml:"ca" doc:"PEM file of authorities to trust beside the system's"`
}

// Gate bounds what may wait for one model to have room; see admit.Config for what each default is and why. 0 is the default.
type Gate struct {
	Waiting int      `yaml:"waiting" doc:"requests"`
	Bytes   Size     `yaml:"bytes" doc:"of their bodies"`
	Tenant  int      `yaml:"tenant" doc:"requests of one tenant"`
	Wait    Duration `yaml:"wait" doc:"the longest wait of a class without objective"`
	Shares  Shares   `yaml:"shares" doc:"what each class is given however much of a higher one waits"`
}

// Shares are guaranteed parts of the work, each of 1. What is 0 is the default.
type Shares struct {
	Interactive float64 `yaml:"interactive" doc:"against system"`
	Standard    float64 `yaml:"standard" doc:"against those above"`
	Batch       float64 `yaml:"batch" doc:"against those above"`
}

// Ladder says how a request is answered with less where the whole would come too late.
type Ladder struct {
	Variants []Variant `yaml:"variants" doc:"other models that answer in this one's place, best first"`
	Allow    string    `yaml:"allow" doc:"asked (requests with X-Weir-Allow-Variants: true) or always; empty: asked"`
	Floor    float64   `yaml:"floor" doc:"the least quality that a variant may have"`
	Dwell    Duration  `yaml:"dwell" doc:"time on a rung before a better one is tried; 0 is 5s"`
	Tokens   int       `yaml:"max_tokens" doc:"answers are cut to so many tokens; 0: they are not"`
	Effort   string    `yaml:"reasoning_effort" doc:"reasoning is turned down to low, minimal or none; empty: it is not"`
}

// Variant is one rung of a ladder.
type Variant struct {
	Model   string  `yaml:"model" doc:"a model of this configuration"`
	Quality float64 `yaml:"quality" doc:"against 1 for the best, as you measured it"`
}

// ClassObjective is an objective of one class.
type ClassObjective struct {
	TTFT Aim `yaml:"ttft" doc:"to the first token, or none; left out: the model's, and none for batch"`
	TPOT Aim `yaml:"tpot" doc:"between tokens, or none; left out: the model's, and none for batch"`
}

// Aim is a time to keep to, or none, which is negative.
type Aim Duration

// None is the aim of what may take its time.
const None Aim = -1

const noneWord = "none"

// UnmarshalText reads a duration or none.
func (a *Aim) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == noneWord {
		*a = None
		return nil
	}
	if err := (*Duration)(a).UnmarshalText(text); err != nil {
		return fmt.Errorf("%w; or none", err)
	}
	return nil
}

// MarshalText writes it as it is read.
func (a Aim) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Aim) String() string {
	if a == None {
		return noneWord
	}
	return Duration(a).String()
}

// Two names of tenants mean others than their own keys.
const (
	Anonymous = "anonymous" // of those who bring no key
	Others    = "others"    // of each tenant that is not named
)

const (
	// tenantsMax bounds the configured tenants: each has counters in memory and a label in metrics.
	tenantsMax = 10_000
	budgetsMax = 2 // a day's and a month's
	// countMax keeps sums of limits inside an int64, and is more than any service makes.
	countMax = 1 << 50
)

func (c Config) tenants() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if len(c.Tenants) > tenantsMax {
		add("tenants has %d entries; %d at most", len(c.Tenants), tenantsMax)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		bad = append(bad, c.Tenants[name].validate("tenants."+name)...)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Prices)) {
		p := c.Prices[name]
		for _, v := range []struct {
			key string
			v   float64
		}{{"input", p.Input}, {"cached", p.Cached}, {"output", p.Output}} {
			if v.v < 0 || v.v > 1e9 || math.IsNaN(v.v) {
				add("prices.%s.%s %v is out of range; it is 0 to 1e9, per million tokens", name, v.key, v.v)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		for i, b := range c.Tenants[name].Budgets {
			if b.Money > 0 && len(c.Prices) == 0 {
				add("tenants.%s.budgets[%d].money needs prices to be counted with; write prices: {MODEL: {input: 0.15, cached: 0.075, output: 0.6}}", name, i)
			}
		}
	}
	if u, err := url.Parse(c.Shared.URL); c.Shared.URL != "" && (err != nil || u.Scheme != "valkey" && u.Scheme != "valkeys" || u.Host == "") {
		add("shared.url %q is not one; write valkey://host:port, or valkeys:// for TLS", c.Shared.URL)
	} else if c.Shared.URL != "" {
		for _, fault := range c.Shared.Valkey().Validate() {
			add("shared: %s", fault)
		}
	}
	if book, err := c.Book(); len(bad) == 0 && err == nil { // what only tenant knows, such as its bounds
		book.Keys = nil // their faults are told where they stand
		bad = append(bad, book.Validate()...)
	}
	return append(bad, c.Gate.validate()...)
}

func (t Tenant) validate(path string) []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, path+fmt.Sprintf(format, args...)) }
	if t.Class != "" {
		if _, err := llm.ParseClass(t.Class); err != nil {
			add(".class: %v", err)
		}
	}
	if t.Weight < 0 || t.Weight > 1000 || math.IsNaN(t.Weight) {
		add(".weight %v is out of range; it is above 0 and at most 1000", t.Weight)
	}
	for _, l := range []struct {
		key string
		v   int
	}{{"requests", t.Limits.Requests}, {"tokens", t.Limits.Tokens}, {"concurrent", t.Limits.Concurrent}} {
		if l.v < 0 || l.v > countMax {
			add(".limits.%s %d is out of range; it is 0 (none) to %d", l.key, l.v, countMax)
		}
	}
	if len(t.Budgets) > budgetsMax {
		add(".budgets has %d entries; %d at most", len(t.Budgets), budgetsMax)
	}
	for i, b := range t.Budgets {
		switch {
		case b.Tokens == 0 && b.Money == 0:
			add(".budgets[%d] needs tokens, money or both", i)
		case slices.ContainsFunc(t.Budgets[:i], func(o Budget) bool { return o.Per == b.Per }):
			add(".budgets[%d] is the second of a %s; write one", i, b.Per)
		case b.Tokens > countMax, b.Tokens < 0, b.Money < 0, b.Money > 1e12:
			add(".budgets[%d] is out of range", i)
		}
		if b.Per != "day" && b.Per != "month" {
			add(".budgets[%d].per %q is not known; it is day or month", i, b.Per)
		}
		if _, err := time.LoadLocation(b.Zone); err != nil {
			add(".budgets[%d].zone %q is not a time zone; write one such as Europe/Berlin", i, b.Zone)
		}
	}
	for i, m := range t.Models {
		if m == "" || strings.Contains(strings.TrimSuffix(m, "*"), "*") {
			add(".models[%d] %q is no name; a * may stand at its end", i, m)
		}
	}
	return bad
}

// Valkey is where the limits are kept, as package valkey takes it.
func (s Shared) Valkey() valkey.Config {
	u, err := url.Parse(s.URL)
	if err != nil {
		return valkey.Config{}
	}
	return valkey.Config{Addresses: strings.Split(u.Host, ","), Username: s.User, Password: s.Password.Value(), TLS: u.Scheme == "valkeys", CA: s.CA}
}

// Admission is what every gate has in common, as admit takes it. What is left at 0 is admit's default.
func (g Gate) Admission() admit.Config {
	var c admit.Config
	c.Waiting.Requests, c.Waiting.Bytes, c.Tenant.Requests = g.Waiting, int64(g.Bytes), g.Tenant
	for class, share := range map[llm.Class]float64{llm.ClassInteractive: g.Shares.Interactive, llm.ClassStandard: g.Shares.Standard, llm.ClassBatch: g.Shares.Batch} {
		c.Classes[class.Rank()].Share = share
	}
	for i := range c.Classes {
		c.Classes[i].Wait = time.Duration(g.Wait)
	}
	return c
}

// waitingMax bounds what may be configured to wait: ten million are connections beyond any machine.
const waitingMax = 10_000_000

func (g Gate) validate() []string {
	var bad []string
	if g.Waiting < 0 || g.Waiting > waitingMax || g.Tenant < 0 || g.Tenant > waitingMax || g.Bytes < 0 {
		bad = append(bad, fmt.Sprintf("admission: waiting %d, tenant %d and bytes %s are each 0 (the default) or above, and at most %d requests", g.Waiting, g.Tenant, g.Bytes, waitingMax))
	}
	for _, fault := range g.Admission().Validate() {
		bad = append(bad, "admission: "+fault)
	}
	return bad
}

// ladder checks a model's ladder against the other models.
func (m Model) ladder(path, name string, models map[string]Model) []string {
	l := m.Ladder
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, path+".ladder"+fmt.Sprintf(format, args...)) }
	if l.Allow != "" && l.Allow != "asked" && l.Allow != "always" {
		add(".allow %q is not known; it is asked or always", l.Allow)
	}
	if l.Tokens < 0 || l.Dwell < 0 || l.Floor < 0 || l.Floor > 1 {
		add(": max_tokens and dwell are not negative, and floor is 0 to 1")
	}
	if l.Effort != "" && !slices.Contains([]string{"none", "minimal", "low", "medium"}, l.Effort) {
		add(".reasoning_effort %q is not known; it is none, minimal, low or medium", l.Effort)
	}
	if len(l.Variants) > variantsMax {
		add(".variants has %d entries; %d at most", len(l.Variants), variantsMax)
	}
	for i, v := range l.Variants {
		if _, ok := models[v.Model]; !ok || v.Model == name {
			add(".variants[%d].model %q is not another model of this configuration", i, v.Model)
		}
		if v.Quality < 0 || v.Quality > 1 {
			add(".variants[%d].quality %v is out of range; it is 0 to 1", i, v.Quality)
		}
		if i > 0 && v.Quality > l.Variants[i-1].Quality {
			add(".variants[%d] is better than the one before it; write the best first", i)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(m.Objective.Classes)) {
		if _, err := llm.ParseClass(class); err != nil {
			bad = append(bad, fmt.Sprintf("%s.objective.classes: %v", path, err))
		}
		if o := m.Objective.Classes[class]; o.TTFT < 0 && o.TTFT != None || o.TPOT < 0 && o.TPOT != None {
			bad = append(bad, fmt.Sprintf("%s.objective.classes.%s is negative; write times such as {ttft: 2s, tpot: 200ms}, or none", path, class))
		}
	}
	return bad
}

// variantsMax bounds a ladder: each rung's wait is predicted for each request.
const variantsMax = 8

// ExpiresAt is when the key ends; zero for never.
func (k Key) ExpiresAt() (time.Time, error) {
	if k.Expires == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, k.Expires); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.DateOnly, k.Expires)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a day such as 2027-01-31 nor a moment such as 2027-01-31T12:00:00Z", k.Expires)
	}
	return t, nil
}

// Of is a class's objective. Batch has none of its own accord: its requests come with deadlines of hours, or none.
func (o Objective) Of(c llm.Class) ClassObjective {
	ttft, tpot := None, None
	if c != llm.ClassBatch {
		ttft, tpot = cmp.Or(Aim(max(o.TTFT, 0)), objectiveTTFT), cmp.Or(Aim(max(o.TPOT, 0)), objectiveTPOT)
	}
	own := o.Classes[c.String()]
	return ClassObjective{TTFT: cmp.Or(own.TTFT, ttft), TPOT: cmp.Or(own.TPOT, tpot)}
}

const (
	// objectiveTTFT is how long people wait for a first word before they look elsewhere. Shorter ones refuse what would have been read;
	// longer ones let a queue grow in which everybody waits for nothing.
	objectiveTTFT = Aim(2 * time.Second)
	// objectiveTPOT is five tokens a second, the slowest that is still read along with.
	objectiveTPOT = Aim(200 * time.Millisecond)
)
