package openai

import (
	"math"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	check := func(text string, least, most, want int64, problem string) {
		t.Helper()
		got, err := value(text).asInt("f", least, most)
		switch {
		case problem == "" && (err != nil || got != want):
			t.Errorf("%s reads %d, %v; want %d", text, got, err, want)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
			t.Errorf("%s: %v, want %q in it", text, err, problem)
		}
	}
	check("5", 0, 10, 5, "")
	check("5.0", 0, 10, 5, "")
	check("1e1", 0, 10, 10, "")
	check("-1", -1, 10, -1, "")
	check("9223372036854775807", math.MinInt64, math.MaxInt64, math.MaxInt64, "")
	check("-9223372036854775808", math.MinInt64, math.MaxInt64, math.MinInt64, "")
	check("9223372036854775808", math.MinInt64, math.MaxInt64, 0, "must be from")
	check("5.5", 0, 10, 0, "must be a whole number, but it is a number (5.5)")
	check("11", 0, 10, 0, "f is 11; it must be from 0 to 10")
	check("-1", 0, math.MaxInt32, 0, "f is -1; it must be 0 or more")
	check("2147483648", 0, math.MaxInt32, 0, "from 0 to 2147483647")
	check("1e400", 0, 10, 0, "from 0 to 10")
	check("9007199254740994.0", 0, math.MaxInt64, 0, "from 0 to")
	check(`"5"`, 0, 10, 0, `must be a whole number, but it is a string ("5")`)
	check(`null`, 0, 10, 0, "but it is null")
	check(`true`, 0, 10, 0, "boolean (true)")
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	check := func(text string, want float64, problem string) {
		t.Helper()
		got, err := value(text).asNumber("f", -2, 2)
		switch {
		case problem == "" && (err != nil || got != want):
			t.Errorf("%s reads %g, %v; want %g", text, got, err, want)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
			t.Errorf("%s: %v, want %q in it", text, err, problem)
		}
	}
	check("0.5", 0.5, "")
	check("-2", -2, "")
	check("2e0", 2, "")
	check("1e-400", 0, "")
	check("2.0000001", 0, "f is 2.0000001; it must be from -2 to 2")
	check("1e999", 0, "f is 1e999")
	check("-1e999", 0, "f is -1e999")
	check(`[0.5]`, 0, "but it is a list ([0.5])")
	check(`{"a":1}`, 0, "but it is an object.")
	check(`"`+strings.Repeat("x", 100)+`"`, 0, "but it is a string.")
}

func TestTextsHaveABound(t *testing.T) {
	t.Parallel()
	if s, err := value(`"äb"`).asText("f", 3); err != nil || s != "äb" {
		t.Errorf("three bytes of three: %q, %v", s, err)
	}
	_, err := value(`"äbc"`).asText("f", 3)
	if got := llm.AsError(err); got.Param != "f" || got.Message != "f has 4 bytes; at most 3 are allowed." {
		t.Errorf("four bytes of three: %+v", got)
	}
	if s := value(`"\u00e4\ud83d\ude00\n\/\"\\\b\f\r\t"`).text(); s != "ä😀\n/\"\\\b\f\r\t" {
		t.Errorf("escapes read %q", s)
	}
}

func TestMembersAndItemsWalk(t *testing.T) {
	t.Parallel()
	v := value(`{ "a" : [ 1 , "]" , { "b" : "}" } ] , "\u0063":{}, "d" : -1.5e3 }`)
	var got []string
	for key, m := range v.members() {
		got = append(got, key+"="+string(m))
	}
	if s := strings.Join(got, ";"); s != `a=[ 1 , "]" , { "b" : "}" } ];c={};d=-1.5e3` {
		t.Errorf("members are %s", s)
	}
	got = nil
	for _, item := range v.get("a").items() {
		got = append(got, string(item))
	}
	if s := strings.Join(got, ";"); s != `1;"]";{ "b" : "}" }` {
		t.Errorf("items are %s", s)
	}
	if v.get("x") != nil || v.empty() || !value(`[ ]`).empty() || !value("{\n}").empty() {
		t.Error("get or empty are wrong")
	}
}
