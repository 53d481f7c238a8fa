package main

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-ai/weir/bench/peer"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	check := func(wrong string, args ...string) {
		t.Helper()
		_, err := readFlags(append(args, "-dir", ".."))
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%v: %v, want an error that tells %q", args, err, wrong)
		}
	}
	check("")
	check("", "-engines", "mock", "-only", "weir,direct", "-parts", "returns", "-factors", "1.5,100", "-seconds", "6", "-long", "6")
	check("-rounds 0", "-rounds", "0")
	check("-seconds 5", "-seconds", "5")
	check("-long 5", "-long", "5")
	check(`"envoy"`, "-only", "weir,envoy")
	check(`"vllm"`, "-engines", "vllm")
	check(`"jobs"`, "-parts", "jobs")
	check("-factors", "-factors", "1.4")
	check("-factors", "-factors", "100.1")
	check("-factors", "-factors", "2,,4")
	check("-factors", "-factors", "NaN")
	check("", "-factors", "2,4,10", "-others", "4")
	check("-others", "-factors", "2,4", "-others", "10")
	check("-others", "-others", "x")
	if _, err := readFlags([]string{"-dir", t.TempDir()}); err == nil {
		t.Error("a folder without the tools was taken")
	}
	o, err := readFlags([]string{"-dir", "..", "-seconds", "20", "-page", "p.html"})
	if err != nil || o.long != 20*longTimes || !filepath.IsAbs(o.json) || !filepath.IsAbs(o.page) {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestConfigurations: whatever is started is told where to listen and where to go, and nothing beyond loopback.
func TestConfigurations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some model.gguf")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(modelVariable, file)
	b := &bench{}
	check := func(name string, c peer.Command, err error, s peer.Site, wanted ...string) {
		t.Helper()
		if err != nil || c.Program != s.Program {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		all := strings.Join(c.Args, " ")
		files, err := filepath.Glob(filepath.Join(s.Dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
		}
		for _, w := range append(wanted, "127.0.0.1", "4001") {
			if !strings.Contains(all, w) {
				t.Errorf("%s's configuration lacks %s:\n%s", name, w, all)
			}
		}
		if strings.Contains(all, "0.0.0.0") || strings.Contains(all, "%!") {
			t.Errorf("%s's configuration:\n%s", name, all)
		}
	}
	site := func(program string) peer.Site {
		return peer.Site{Dir: t.TempDir(), Program: program, Addr: "127.0.0.1:4001", Upstream: "127.0.0.1:4002", Model: "m", Key: benchKey, Cores: 2, Connections: connections}
	}
	for _, e := range engines() {
		s := site("program")
		c, err := e.configure(b, e, s)
		check(e.name, c, err, s, strconv.Itoa(e.slots))
		for _, f := range fronts() {
			if f.configure == nil {
				continue
			}
			want := "127.0.0.1:4002"
			if f.name == frontWeir && e.within != nil {
				want = file
			}
			s := site("program")
			c, err := f.configure(b, e, s)
			check(f.name+" in front of "+e.name, c, err, s, want)
		}
	}
	llama := engineNamed(engineLlama)
	s := site("/somewhere/python3")
	c, err := llama.configure(b, llama, s)
	check("llama.cpp in Python", c, err, s, `"`+file+`"`, "server.py", "n_parallel = 8", "n_ctx = 16384")
	s = site("weir")
	ladder := ladderEngine()
	c, err = configureWeir(b, ladder, s)
	check("the ladder", c, err, s, "variants: [{model: weir-nano, quality: 0.98}]", "\n  weir-nano: {builtin: weir-nano}\n", "spent: {limits: {requests: 1}}")
}

func TestModelMustBeNamed(t *testing.T) {
	t.Setenv(modelVariable, "")
	if err := modelError(); err == nil || !strings.Contains(err.Error(), modelVariable) {
		t.Errorf("%v, want an error that names %s", err, modelVariable)
	}
	t.Setenv(modelVariable, filepath.Join(t.TempDir(), "none.gguf"))
	if err := modelError(); err == nil || !strings.Contains(err.Error(), "none.gguf") {
		t.Errorf("%v, want an error that names the file", err)
	}
}

// TestTopClassIsBelowCapacity: however large the flood is, the top class asks for half the capacity.
func TestTopClassIsBelowCapacity(t *testing.T) {
	t.Parallel()
	for _, factor := range []float64{2, 4, 10} {
		all := 0.0
		for _, field := range strings.Split(classes(factor), ",") {
			name, part, _ := strings.Cut(field, "=")
			v, err := strconv.ParseFloat(part, 64)
			if err != nil {
				t.Fatal(err)
			}
			if all += v; name == classTop && v*factor != topShare {
				t.Errorf("at %v times the capacity the top class asks for %v of it", factor, v*factor)
			}
		}
		if math.Abs(all-1) > 1e-9 {
			t.Errorf("classes %s add up to %v", classes(factor), all)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	e := engineNamed(engineMock)
	g := planFlood(load(e, frontNamed(frontWeir), "127.0.0.1:1", capacity{PerWord: 1.5}), 80, 10, 60)
	g.headers, g.page, g.obey = []string{"A: b"}, "p.html", 0.1
	got := strings.Join(g.args("r.json"), " ")
	for _, want := range []string{
		"flood http://127.0.0.1:1 ", "--json r.json", "--rate 40.000", "--shape step:20.000x:10s-70s", "--duration 1m40s --warmup 10s", "--timeout 20s",
		"--prompt 60 --output 30 --spread 0 --tokens-per-word 1.500", "--objective ttft=2s,tpot=200ms --objective batch:none", "--classes interactive=0.0500,standard=0.8500,batch=0.1000",
		"--tenants one=1,two=1,three=1", "--key one=sk-one --key two=sk-two --key three=sk-three", "--obey 0.100", "--header A: b", "--html p.html", "--model mock-model",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
	plain := load(e, frontNamed("nginx"), "127.0.0.1:1", capacity{PerWord: 1})
	if got := strings.Join(plain.args("r.json"), " "); strings.Contains(got, "--tenants") || !strings.Contains(got, "--key sk-bench") || strings.Contains(got, "--obey") {
		t.Errorf("a peer's load: %s", got)
	}
}
