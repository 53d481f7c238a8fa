package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	check := func(body, want string) {
		t.Helper()
		err := check([]byte(body))
		if err == nil {
			t.Errorf("%.80q passes", body)
			return
		}
		if got := llm.AsError(err); got.Kind != llm.Invalid || !strings.Contains(got.Message, want) {
			t.Errorf("%.80q: %s: %q, want %q in it", body, got.Kind, got.Message, want)
		}
	}
	check("", "empty")
	check(" \n\t", "empty")
	check(`{"a":1} {"b":2}`, "line 1, column 9")
	check("{\n  \"a\": x}", "line 2, column 8")
	check(`{"a":1,}`, "a key in double quotes")
	check(`{a:1}`, "a key in double quotes")
	check(`{"a" 1}`, "colon")
	check(`{"a":1 "b":2}`, "comma or the object's closing brace")
	check(`{"a":[1 2]}`, "comma or the list's closing bracket")
	check(`{"a":[1,]}`, "cannot begin a value")
	check(`{"a":`, "ends where a value should be")
	check(`{"a":"x`, "not closed")
	check(`{"a":"x\`, "not closed")
	check("{\"a\":\"x\ny\"}", "must be escaped")
	check(`{"a":"\q"}`, "escape sequence")
	check(`{"a":"\u12g4"}`, "hexadecimal")
	check(`{"a":"\u12"}`, "hexadecimal")
	check(`{"a":"\ud83d"}`, "surrogate")
	check(`{"a":"\ud83d\u0041"}`, "surrogate")
	check(`{"a":"\ude00"}`, "surrogate")
	check("{\"a\":\"\xff\"}", "UTF-8")
	check("{\"a\":\"\xed\xa0\x80\"}", "UTF-8")
	check("\xef\xbb\xbf{}", "cannot begin a value")
	check(`{"a":NaN}`, "cannot begin a value")
	check(`{"a":-Infinity}`, "digit")
	check(`{"a":01}`, "must not begin with 0")
	check(`{"a":1.}`, "decimal point")
	check(`{"a":1e}`, "exponent")
	check(`{"a":+1}`, "cannot begin a value")
	check(`{"a":.5}`, "cannot begin a value")
	check(`{"a":1,"a":1}`, `"a" comes twice`)
	check(`{"a":{"b":1,"c":2,"\u0062":3}}`, `"b" comes twice`)
	check(strings.Repeat(`[`, depthMax+2), "deeper than 100")
	check(strings.Repeat(`{"a":`, 1_000_000), "deeper than 100")
}

func TestCheckPasses(t *testing.T) {
	t.Parallel()
	check := func(body string) {
		t.Helper()
		if err := check([]byte(body)); err != nil {
			t.Errorf("%.80q: %v", body, err)
		}
	}
	check(" {} \r\n\t")
	check(`[]`)
	check(`{"a":[{},[],"",0,-0,1.5e+10,true,false,null]}`)
	check(`{"a":"\ud83d\ude00 \u0000 \" \\ \/ \b\f\n\r\t 😀 ` + "\u2028" + `"}`)
	check(`[{"a":1},{"a":1}]`)
	check(strings.Repeat(`[`, depthMax+1) + strings.Repeat(`]`, depthMax+1))
}

// TestCheckFindsTwinsAmongMany crosses the number of keys from which they are hashed.
func TestCheckFindsTwinsAmongMany(t *testing.T) {
	t.Parallel()
	for n := 1; n < 3*keysLinear; n++ {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"k` + strings.Repeat("x", i) + `":{"k":[{"k":1}]},`)
		}
		once := `{` + strings.TrimSuffix(b.String(), ",") + `}`
		if err := check([]byte(once)); err != nil {
			t.Errorf("%d different keys: %v", n, err)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			twice := `{` + b.String() + `"k` + strings.Repeat("x", i) + `":1}`
			if check([]byte(twice)) == nil {
				t.Errorf("key %d of %d comes twice and passes", i, n)
			}
		}
	}
}

func TestCheckBoundsKeys(t *testing.T) {
	t.Parallel()
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":1,`, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	if err := check([]byte(`{"a":{` + keys(keysMax) + `},"b":{` + keys(keysMax) + `}}`)); err != nil {
		t.Errorf("%d keys: %v", keysMax, err)
	}
	if err := check([]byte(`{"a":{` + keys(keysMax+1) + `}}`)); err == nil || !strings.Contains(err.Error(), "more than 4096 keys") {
		t.Errorf("%d keys: %v", keysMax+1, err)
	}
}

// FuzzCheck compares with encoding/json, which is laxer: what passes here passes there and says the same.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\ud83d\ude00",null]}`, `{"a":1,"a":2}`, `{"a":1e5} `, `"\u00e9"`, "[\"\xff\"]", `-0.0e-1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := check(body)
		if err == nil && !json.Valid(body) {
			t.Fatalf("%q passes and is no JSON", body)
		}
		if err != nil {
			if llm.AsError(err).Kind != llm.Invalid {
				t.Fatalf("%q: %v is not Invalid", body, err)
			}
			return
		}
		start := skipSpace(body, 0)
		v := value(body[start:after(body, start)])
		var want any
		if err := json.Unmarshal(body, &want); err != nil && !strings.Contains(err.Error(), "number") {
			t.Fatal(err)
		} else if err == nil {
			same(t, v, want)
		}
	})
}

// same compares a value with what encoding/json reads from it.
func same(t *testing.T, v value, want any) {
	switch w := want.(type) {
	case map[string]any:
		n := 0
		for key, member := range v.members() {
			n++
			same(t, member, w[key])
		}
		if n != len(w) || v.empty() != (n == 0) {
			t.Fatalf("%q has %d members, want %d", v, n, len(w))
		}
	case []any:
		n := 0
		for i, item := range v.items() {
			n++
			same(t, item, w[i])
		}
		if n != len(w) || v.empty() != (n == 0) {
			t.Fatalf("%q has %d items, want %d", v, n, len(w))
		}
	case string:
		if v.text() != w {
			t.Fatalf("%q reads %q, want %q", v, v.text(), w)
		}
	case bool:
		if b, err := v.asBool(""); err != nil || b != w {
			t.Fatalf("%q reads %v, %v", v, b, err)
		}
	case float64:
		if f, err := v.asNumber("", -1e308, 1e308); err == nil && f != w {
			t.Fatalf("%q reads %v, want %v", v, f, w)
		}
	case nil:
		if !v.null() {
			t.Fatalf("%q is not null", v)
		}
	}
}
