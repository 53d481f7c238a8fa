package jinja

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// refusal is the kind by which source fails, at parsing or rendering; empty where it renders.
func refusal(t *testing.T, source string) (kind, text string) {
	t.Helper()
	text, kind, message := renderText(source, NewDict(), time.Time{})
	if kind == limitError && message == "" {
		t.Errorf("%.80q is refused without words", source)
	}
	return kind, text
}

// TestHostileMemory ends templates that grow by few steps, and looks at what they allocated: no more than a few times what they
// were let make. It does not run beside others, whose memory it would see.
func TestHostileMemory(t *testing.T) {
	var before, after runtime.MemStats
	budget := meter{steps: stepsMax, bytes: bytesMax / 16}
	for _, source := range []string{
		"{% set ns = namespace(x='aa') %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		"{% set ns = namespace(x=['aa']) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		"{{ ('ab' * 2500000).split('b') | length }}", "{{ ('\n' * 3000000).splitlines() | length }}",
		"{{ ('\x00' * 4000000) | tojson }}", "{{ ['\x00' * 4000000] }}", "{{ ('<' * 4000000) | e }}", "{{ ('é' * 4000000).upper().lower() | title }}",
		"{{ [('é' * 4000000) | urlencode] }}", "{{ ('a ' * 3000000) | indent(1) }}", "{{ ('\n' * 3000000) | indent('xxxx', blank=true) }}",
		"{% for a in range(100000) %}{{ 'x' * 100000 }}{% endfor %}", "{% set x %}{% for a in range(100000) %}{{ 'x' * 100000 }}{% endfor %}{% endset %}",
	} {
		tmpl, err := Parse("hostile", source)
		if err != nil {
			t.Fatalf("%q: %v", source, err)
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err = tmpl.renderWithin(budget, NewDict(), time.Time{})
		runtime.ReadMemStats(&after)
		var e *Error
		if !errors.As(err, &e) || e.Kind != limitError {
			t.Errorf("%q gives %v; want a LimitError", source, err)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 10*uint64(budget.bytes) {
			t.Errorf("%q allocates %d MB", source, made>>20)
		}
	}
}

// TestBoundsOfText holds templates that nest or are as long as is taken, and one more.
func TestBoundsOfText(t *testing.T) {
	t.Parallel()
	check := func(name string, most int, make func(n int) string) {
		t.Helper()
		if kind, _ := refusal(t, make(most)); kind != "" {
			t.Errorf("%s: %d is refused by %s", name, most, kind)
		}
		if kind, _ := refusal(t, make(most+1)); kind != limitError {
			t.Errorf("%s: %d gives %q; want a LimitError", name, most+1, kind)
		}
	}
	check("bytes", sourceMax, func(n int) string { return strings.Repeat("x", n) })
	check("brackets", nestMax-1, func(n int) string { return "{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}" })
	check("lists", nestMax-1, func(n int) string { return "{{ " + strings.Repeat("[", n) + strings.Repeat("]", n) + " }}" })
	check("ifs", nestMax-1, func(n int) string { return strings.Repeat("{% if 1 %}", n) + strings.Repeat("{% endif %}", n) })
	check("loops", nestMax-1, func(n int) string {
		return strings.Repeat("{% for x in [1] %}", n) + strings.Repeat("{% endfor %}", n)
	})
	check("nots", nestMax-1, func(n int) string { return "{{ " + strings.Repeat("not ", n) + "1 }}" })
	check("minuses", nestMax-1, func(n int) string { return "{{ " + strings.Repeat("-", n) + "1 }}" })
	check("elses", nestMax-1, func(n int) string { return "{{ " + strings.Repeat("0 if 0 else ", n) + "1 }}" })
	check("sums", depthMax-1, func(n int) string { return "{{ 1" + strings.Repeat("+1", n) + " }}" })
	check("filters", depthMax-1, func(n int) string { return "{{ 1" + strings.Repeat("|string", n) + " }}" })
	check("attributes", depthMax-2, func(n int) string { return "{{ 1 if 1 else x" + strings.Repeat(".y", n) + " }}" })
	check("subscripts", depthMax-2, func(n int) string { return "{{ 1 if 1 else x" + strings.Repeat("[0]", n) + " }}" })
	const ifs = 349 // each copies the names for its three branches
	check("names in branches", branchMax/(3*ifs), func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{%% set a%d = 1 %%}", i)
		}
		for range ifs {
			b.WriteString("{% if 1 %}{% endif %}")
		}
		return b.String()
	})
}

// TestBoundsOfRendering holds what templates may make, and one more.
func TestBoundsOfRendering(t *testing.T) {
	t.Parallel()
	check := func(source, want string) {
		t.Helper()
		if kind, text := refusal(t, source); kind != want {
			t.Errorf("%.100q gives %q and %.40q; want %q", source, kind, text, want)
		}
	}
	check("{{ range(100000) | length }}", "")
	check("{{ range(100001) }}", overflowError)
	check("{{ ('a' * 1048576) | length }}", "")
	check("{{ 'a'.center(1048576) | length }}", "")
	check("{{ 'a'.center(1048577) }}", limitError)
	check("{{ 'a' | center(1000000000) }}", limitError)
	check("{{ 'é'.rjust(1000000000, '中') }}", limitError)
	check("{{ '1'.zfill(1000000000) }}", limitError)
	check("{{ '\t'.expandtabs(1000000000) }}", limitError)
	check("{{ ('%1048576d' % 1) | length }}", "")
	check("{{ '%1048577d' % 1 }}", limitError)
	check("{{ '%.1000000000f' % 1 }}", limitError)
	check("{{ '%*d' % (1000000000, 1) }}", limitError)
	check("{{ '{:1000000000}'.format(1) }}", limitError)
	check("{{ '{:.1000000000f}'.format(1.5) }}", limitError)
	check("{{ '{:{}}'.format(1, 99999999999999999999) }}", limitError)
	check("{{ 1 | tojson(indent=1000000000) }}", limitError)
	check("{{ 'a\nb' | indent(1000000000) }}", limitError)
	check("{{ strftime_now('%c' * 2048) | length }}", "")
	check("{{ strftime_now('%c' * 2049) }}", limitError)
	check("{{ 2 ** 16383 % 7 }}", "")
	check("{{ 2 ** 16384 % 7 }}", limitError)
	check("{{ 2 ** 99999999999999999999 }}", limitError)
	check("{{ 1 ** 99999999999999999999, (-1) ** 99999999999999999999, 0 ** 99999999999999999999 }}", "")
	check("{% set ns = namespace(n=3) %}{% for i in range(30) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", limitError)
	check("{{ 10 ** 4299 }}", "")
	check("{{ 10 ** 4300 }}", valueError)
	check("{{ 'a' * 10 ** 9 }}", limitError)
	check("{{ [1] * 10 ** 9 }}", limitError)
	check("{{ ('a' * 10 ** 6).replace('a', 'b' * 10 ** 6) }}", limitError)
	check("{{ ('b' * 10 ** 6).join(['a'] * 10 ** 6) }}", limitError)
	check("{{ (['a'] * 10 ** 6) | join('b' * 10 ** 6) }}", limitError)
	check("{{ [1] | batch(10 ** 9, 0) | list }}", limitError)
	check("{{ [1] | slice(10 ** 9) | list }}", limitError)
	check("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(199) }}", "")
	check("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(200) }}", recursionError)
	check("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", recursionError)
	check("{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}", recursionError)
	nest := "{% set ns = namespace(v=[]) %}{% for i in range(N) %}{% set ns.v = [ns.v, 1] %}{% endfor %}"
	deep := func(n int, print string) string { return strings.Replace(nest, "N", fmt.Sprint(n), 1) + print }
	check(deep(nestingMax-1, "{{ ns.v }}{{ ns.v | tojson }}{{ ns.v == ns.v }}"), "")
	check(deep(nestingMax+1, "{{ ns.v }}"), recursionError)
	check(deep(nestingMax+1, "{{ ns.v | tojson }}"), recursionError)
	check(deep(50000, "{{ ns.v == ns.v }}"), recursionError)
	check(deep(50000, "{{ [ns.v, ns.v] | sort }}"), recursionError)
	check(strings.Replace(deep(50000, "{{ {ns.v: 1} }}"), "[ns.v, 1]", "(ns.v, 1)", 1), recursionError)
	check(strings.Replace(deep(50000, "{{ {}[ns.v] }}"), "[ns.v, 1]", "(ns.v, 1)", 1), recursionError)
	check("{% set ns = namespace(v=[1]) %}{% for i in range(9000) %}{% set ns.v = ns.v | map('string') %}{% endfor %}{{ ns.v | list }}", "")
	check("{% set ns = namespace(v=[1]) %}{% for i in range(90000) %}{% set ns.v = ns.v | map('string') %}{% endfor %}{{ ns.v | list }}", recursionError)
	check("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", recursionError)
}

// TestHostileTemplates ends each template that would run on, or grow, by an error, within a memory that depends on the budget and
// not on what it asks for. The budget is a part of the real one, which takes each template about a second.
func TestHostileTemplates(t *testing.T) {
	t.Parallel()
	budget := meter{steps: stepsMax / 20, bytes: bytesMax / 8}
	loops := func(body string) string {
		return "{% for a in range(100000) %}{% for b in range(100000) %}" + body + "{% endfor %}{% endfor %}"
	}
	set := "{% set s = 'ab ' * 1000000 %}{% set n = 2 ** 14000 %}{% set l = range(5000) | list %}{% set d = dict.fromkeys(l) %}{% set t = (s, s) %}"
	double := func(what string) string {
		return "{% set ns = namespace(x=" + what + ") %}" + loops("{% set ns.x = ns.x + ns.x %}")
	}
	hostile := []string{
		loops(""), loops("{{ a }}"), double("'aa'"), double("['aa']"), double("('aa', 1)"),
		"{% set ns = namespace(x=['a']) %}" + strings.Repeat("{% set ns.x = [ns.x, ns.x] %}", 100) + "{{ ns.x }}",
		"{% set ns = namespace(x=['a']) %}" + strings.Repeat("{% set ns.x = [ns.x, ns.x] %}", 100) + "{{ ns.x | tojson | length }}",
		"{% set ns = namespace(x=['a'], y=['a']) %}" + strings.Repeat("{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}", 100) + "{{ ns.x == ns.y }}",
		"{% set ns = namespace(x=(1,)) %}" + strings.Repeat("{% set ns.x = (ns.x, ns.x) %}", 100) + "{{ {ns.x: 1} }}",
		"{% macro f(n) %}{% for i in range(10) %}{{ f(n + 1) if n < 150 }}{% endfor %}{% endmacro %}{{ f(0) }}",
		"{% for x in range(10) recursive %}{% if loop.depth < 150 %}{{ loop(range(10)) }}{% endif %}{% endfor %}",
		"{{ ('ab' * 10000000).split('b') | length }}{{ ('a ' * 50000000).split() | length }}",
		"{{ ('\n' * 50000000).splitlines() | length }}", "{{ ('\x00' * 60000000) | tojson }}", "{{ ['\x00' * 60000000] }}",
		"{{ ('A' * 1000000 ~ 'b') | batch(1) | map('upper') | list | length }}",
		set + "{{ ([s.upper()] * 1000000) | sort | length }}", set + "{{ ([s ~ 'A'] * 1000000) | unique | list | length }}",
	}
	for _, body := range []string{
		"{{ 'x' in s }}", "{{ s | length }}", "{% if s == s ~ '' %}{% endif %}", "{% if s.find('x') %}{% endif %}", "{% set x = s[5] %}", "{% set x = s[::-1] %}",
		"{% set x = s.upper() %}", "{% set x = s.split('x') %}", "{% set x = s | wordcount %}", "{% set x = s | e %}", "{% set x = s | urlencode %}", "{% set x = n * n %}",
		"{% set x = n // 3 %}", "{% set x = n % 7 %}", "{% set x = n / (n + 1) %}", "{% set x = n ~ '' %}", "{% set x = n == n + 1 %}", "{% set x = {n: 1} %}", "{% set x = d[n] %}",
		"{% set x = n | round(-10) %}", "{% set x = n < 1.5 %}", "{% set x = '%d' % n %}", "{% set x = '%x' % n %}", "{% set x = '{:,}'.format(n) %}", "{% set x = 2 ** 16000 %}",
		"{% set x = l | sum %}", "{% set x = l | max %}", "{% set x = l | sort %}", "{% set x = l + l %}", "{% set x = l[::2] %}", "{% set x = l == l[:] %}", "{% set x = 'x' in l %}",
		"{% set x = l.count(1) %}", "{% set x = l | tojson %}", "{% set x = l | join %}", "{% set x = dict(d) %}", "{% set x = d == d.copy() %}", "{% set x = d | dictsort %}",
		"{% set x = d.items() | list %}", "{% set x = {t: 1} %}", "{% set x = t in d %}", "{% set x = l | map('string') | groupby(0) %}", "{% set x = l | map('string') | list %}", "{% set x = raise_exception is callable %}",
		"{% set x = '{0.__class__}{0}{0}'.format(s) %}", "{% set x = '%s%s' % (s, s) %}", "{% set x = s.title() %}", "{% set x = s is lower %}", "{% set x = s.isalpha() %}", "{% set x = ('9' * 4000) | int %}",
		"{% set x = ('9' * 4000) | float %}", "{% set x = s | trim('ab') %}", "{% set x = s < s ~ 'x' %}", "{% set x = range(100000) == range(100000) %}", "{% set x = strftime_now('%c' * 2000) %}",
		"{% set x = cycler(*l) %}", "{% set x = namespace(d2=d, **{'a': 1}) %}", "{% macro f() %}{% endmacro %}", "{% set x %}{{ s }}{% endset %}", "{% filter upper %}{{ s }}{% endfilter %}",
		"{% set x = s.center(1000000) %}", "{% set x = 'a'.center(1000000) %}", "{% set x = '%.100000f' % 1.5 %}", "{% set x = '{:.100000f}'.format(1.5) %}", "{% for c in s if c == 'x' %}{% endfor %}",
	} {
		hostile = append(hostile, set+loops(body))
	}
	longest, at := time.Duration(0), ""
	for _, source := range hostile {
		start := time.Now()
		tmpl, err := Parse("hostile", source)
		if err != nil {
			t.Fatalf("%.200q: %v", source, err)
		}
		_, err = tmpl.renderWithin(budget, NewDict(), time.Time{})
		var e *Error
		if !errors.As(err, &e) || e.Kind != limitError && e.Kind != recursionError {
			t.Errorf("%.200q gives %v; want a limit", source, err)
		}
		if took := time.Since(start); took > longest {
			longest, at = took, source
		}
	}
	t.Logf("%d hostile templates end; the slowest takes %v: %.300q", len(hostile), longest, at)
}
