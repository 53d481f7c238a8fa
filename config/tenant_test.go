package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestFaultsOfTenantsAreNamed(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		if got := faultsOf(t, text); !strings.Contains(got, want) {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
	check("tenants: {a: {class: gold}}", `tenants.a.class: class "gold" is not known; it is system, interactive, standard or batch`)
	check("tenants: {a: {weight: -1}}", "tenants.a.weight -1 is out of range")
	check("tenants: {a: {limits: {tokens: -5}}}", "tenants.a.limits.tokens -5 is out of range")
	check("tenants: {a: {budgets: [{per: day}]}}", "tenants.a.budgets[0] needs tokens, money or both")
	check("tenants: {a: {budgets: [{tokens: 1, per: week}]}}", `tenants.a.budgets[0].per "week" is not known; it is day or month`)
	check("tenants: {a: {budgets: [{tokens: 1, per: day}, {tokens: 2, per: day}]}}", "tenants.a.budgets[1] is the second of a day")
	check("tenants: {a: {budgets: [{tokens: 1, per: day, zone: Mars/Olympus}]}}", `tenants.a.budgets[0].zone "Mars/Olympus" is not a time zone`)
	check("tenants: {a: {budgets: [{money: 1, per: day}]}}", "tenants.a.budgets[0].money needs prices")
	check("tenants: {a: {models: ['a*b']}}", `tenants.a.models[0] "a*b" is no name`)
	check("tenants: {a: {limits: {tokens: 1000000000000}}}", "limits.tokens 1000000000000 is out of range; it is 0 (none) to 1000000000")
	check("prices: {m: {input: -1}}", "prices.m.input -1 is out of range")
	check("shared: {url: 'redis://x'}", `shared.url "redis://x" is not one; write valkey://host:port`)
	check("admission: {waiting: -1}", "admission: waiting -1")
	check("admission: {shares: {batch: 0.5}}", "admission: classes.batch.share is 0.5")
	check("keys: {list: [{id: k, hash: "+hash+", class: x}]}", "keys.list[0].class")
	check("keys: {list: [{id: k, hash: "+hash+", expires: soon}]}", `keys.list[0].expires: "soon" is neither a day`)
	two := "models: {a: {builtin: weir-mini, ladder: LADDER}, b: {builtin: weir-nano}}"
	ladder := func(l, want string) { t.Helper(); check(strings.Replace(two, "LADDER", l, 1), want) }
	ladder("{variants: [{model: c}]}", `models.a.ladder.variants[0].model "c" is not another model`)
	ladder("{variants: [{model: a}]}", `models.a.ladder.variants[0].model "a" is not another model`)
	ladder("{variants: [{model: b, quality: 2}]}", "models.a.ladder.variants[0].quality 2 is out of range")
	ladder("{allow: never}", `models.a.ladder.allow "never" is not known; it is asked or always`)
	ladder("{reasoning_effort: huge}", `models.a.ladder.reasoning_effort "huge" is not known`)
	check("models: {a: {builtin: weir-mini, objective: {classes: {gold: {ttft: 1s}}}}}", "models.a.objective.classes: class")
}

func TestObjectivesHaveDefaults(t *testing.T) {
	t.Parallel()
	const second, millisecond, minute = Aim(time.Second), Aim(time.Millisecond), Aim(time.Minute)
	o := Objective{TTFT: Duration(time.Second), Classes: map[string]ClassObjective{"batch": {TTFT: minute}, "system": {TPOT: millisecond}, "interactive": {TTFT: None}}}
	for class, want := range map[llm.Class]ClassObjective{
		llm.ClassSystem:      {second, millisecond},
		llm.ClassInteractive: {None, objectiveTPOT},
		llm.ClassStandard:    {second, objectiveTPOT},
		llm.ClassBatch:       {minute, None},
	} {
		if got := o.Of(class); got != want {
			t.Errorf("%s has %v, want %v", class, got, want)
		}
	}
	if got := (Objective{}).Of(llm.ClassStandard); got != (ClassObjective{objectiveTTFT, objectiveTPOT}) {
		t.Errorf("without anything: %v", got)
	}
	if got := (Objective{}).Of(llm.ClassBatch); got != (ClassObjective{None, None}) {
		t.Errorf("batch has %v", got)
	}
}

func TestAnAimMayBeNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Aim{"none": None, " none ": None, "2s": Aim(2 * time.Second), "90s": Aim(90 * time.Second)} {
		var a Aim
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want {
			t.Errorf("%q is %v, %v", text, a, err)
		}
		again, err := a.MarshalText()
		var b Aim
		if err := errors.Join(err, b.UnmarshalText(again)); err != nil || b != a {
			t.Errorf("%q is written as %q and read as %v, %v", text, again, b, err)
		}
	}
	var a Aim
	if err := a.UnmarshalText([]byte("never")); err == nil || !strings.Contains(err.Error(), "or none") {
		t.Error(err)
	}
}
