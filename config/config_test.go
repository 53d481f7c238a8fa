package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// hash has the form of a key's hash.
var hash = "sha256:" + strings.Repeat("0f", 32)

// faultsOf gives the faults of text, one a line.
func faultsOf(t *testing.T, text string) string {
	t.Helper()
	_, err := Parse([]byte(text))
	var faults Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("%q: the error is a %T", text, err)
	}
	return faults.Error()
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	if bad := Default().Validate(); len(bad) > 0 {
		t.Errorf("faults: %v", bad)
	}
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "models:\nkeys: # all as it was\n", "null"} {
		c, err := Parse([]byte(text))
		if err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q gives %+v, error %v", text, c, err)
		}
	}
	if d := Default(); !Loopback(d.Listen) || d.KeysRequired() || d.Engine.Activations == "" || d.Engine.Sequences == 0 || d.Engine.KVMemory == 0 {
		t.Errorf("the defaults do not tell what is done: %+v", d)
	}
}

func TestUnknownKeysTellTheLineAndTheNearestKey(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		if got := faultsOf(t, text); got != want {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
	check("lisen: 127.0.0.1:1", `line 1: unknown key "lisen"; did you mean "listen"?`)
	check("# c\n\nlimits:\n  bdy: 1MB", `line 4: unknown key "limits.bdy"; did you mean "limits.body"?`)
	check("limits: {body: 1MB, hedder: 8KB}", `line 1: unknown key "limits.hedder"; did you mean "limits.header"?`)
	check("models:\n  my:\n    fille: x\n    builtin: weir-mini", `line 3: unknown key "models.my.fille"; did you mean "models.my.file"?`)
	check("models:\n  my:\n    builtin: weir-mini\n    engine:\n      kvv: f16", `line 5: unknown key "models.my.engine.kvv"; did you mean "models.my.engine.kv"?`)
	check("keys:\n  list:\n    - id: a\n      hash: "+hash+"\n    - id: b\n      hash: "+hash+"\n      tenat: x", `line 7: unknown key "keys.list[1].tenat"; did you mean "keys.list[1].tenant"?`)
	// Right, but in the wrong place.
	check("grace: 3s", `line 1: unknown key "grace"; did you mean "shutdown.grace"?`)
	check("tls:\n  bodies_total: 1GB", `line 2: unknown key "tls.bodies_total"; did you mean "limits.bodies_total"?`)
	check("file: x.gguf", `line 1: unknown key "file"; did you mean "models.NAME.file"?`)
	check("cors:\n  zzzzzzzzzz: 1", `line 2: unknown key "cors.zzzzzzzzzz"; did you mean "cors.origins"? (known here: origins)`)
	check("base: &a {body: 1MB}\nlimits:\n  <<: *a", "line 1: unknown key \"base\"; did you mean \"data\"? (known here: listen, admin, models, engine, keys, tenants, prices, shared, admission, data, tls, cors, limits, unknown_fields, access_log, log, shutdown)\n"+
		"line 3: limits.<<: merged sections are not read; write the keys out, or use *NAME for a whole section")
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	text := `listen: nowhere
lissten: x
access_log: maybe
engine: {threads: many, kv: f64}
limits:
  body: 32 MX
  idle: 5
  header: 1
models:
  "bad name": {file: /no/such/file}
  empty: {}
  both: {file: /, builtin: weir-mini}
  other: {builtin: gpt-5}
  threads: {file: /, engine: {threads: 2, context: -1}}
keys: {require: sometimes, list: [{id: a, hash: short}, {id: a, hash: "` + hash + `"}, 7]}
tls: {cert: /no/cert}
cors: {origins: [example.com, "https://example.com/x", "*", "https://example.com"]}
unknown_fields: drop
log: {level: loud, format: xml}
shutdown: {grace: -1s}
admin: [1]
`
	got := faultsOf(t, text)
	for _, want := range []string{
		`line 1: listen "nowhere" is not an address; write host:port`,
		`line 2: unknown key "lissten"; did you mean "listen"?`,
		`line 3: access_log "maybe" is not true or false`,
		`line 4: engine.threads "many" is not a whole number`,
		`line 4: engine.kv "f64" is not known; it is f32, f16 or int8`,
		`line 6: limits.body "32 MX" is not a size; write a whole number with`,
		`line 7: limits.idle "5" is not a duration; write a number with a unit`,
		`line 8: limits.header 1B is out of range; it is 4KB to 1MB`,
		`line 10: models.bad name: model name "bad name" has ' '`,
		`line 10: models.bad name.file "/no/such/file" cannot be read`,
		`line 11: models.empty names nothing that answers; give it endpoints: [{url: URL}], file: PATH or builtin: weir-mini`,
		`line 12: models.both has both builtin and file; keep one`,
		`line 13: models.other.builtin "gpt-5" does not exist; there are weir-mini and weir-nano`,
		`line 14: models.threads.engine.threads: threads are common to all models; set engine.threads`,
		`line 14: models.threads.engine.context -1 is out of range`,
		`line 15: keys.require "sometimes" is not known; it is auto, always or never`,
		`line 15: keys.list[0].hash is not sha256: and 64 hexadecimal digits`,
		`line 15: keys.list[1].id "a" is empty or used twice`,
		`line 15: keys.list[2] takes keys and values (id, hash, tenant, class, models, expires, admin), not "7"`,
		`line 16: tls needs both cert and key; got cert "/no/cert" and key ""`,
		`line 17: cors.origins[0] "example.com" is not an origin`,
		`line 17: cors.origins[1] "https://example.com/x" is not an origin`,
		`line 18: unknown_fields "drop" is not known; it is refuse or ignore`,
		`line 19: log.level "loud" is not known`,
		`line 19: log.format "xml" is not known`,
		`line 20: shutdown.grace -1s is out of range; it is above 0 and at most 24h`,
		`line 21: admin takes one value, not a list or a section`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	for _, not := range []string{"origins[2]", "origins[3]", "list[2].", "engine.threads 0"} {
		if strings.Contains(got, not) {
			t.Errorf("a fault too many: %s", not)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestBrokenYAMLTellsTheLine(t *testing.T) {
	t.Parallel()
	check := func(text, line string) {
		t.Helper()
		if got := faultsOf(t, text); !strings.HasPrefix(got, line) || strings.Contains(got, "\n") {
			t.Errorf("%q gives %q", text, got)
		}
	}
	check("listen: [1", "line 1: ")
	check("keys:\n  require: auto\n  require: never", "line 3: ")
	check("listen: 127.0.0.1:1\n---\nadmin: 127.0.0.1:2", "line 3: a second document")
	check("just text", `line 1: a configuration takes keys and values (listen, admin,`)
	check("- a", `line 1: a configuration takes keys and values`)
	check("admin: *nobody", "line 1: admin is an alias, *nobody, without an anchor before it")
	check("keys: {list: {id: a}}", "line 1: keys.list takes a list, not (a list or a section)")
	check("models: [a]", "line 1: models takes names and sections")
	check(strings.Repeat("#", fileMax+1), "the configuration has 4194305 bytes; it has at most 4194304")
}

func TestAliasesStandForSections(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte("models:\n  a: {builtin: weir-mini, engine: &small {context: 512, kv: !!str int8}}\n  b: {builtin: weir-mini, engine: *small}\n"))
	if err != nil || c.Models["b"].Engine.Context != 512 || c.Models["b"].Engine != c.Models["a"].Engine || c.Models["a"].Engine.KV != "int8" {
		t.Errorf("%+v, error %v", c.Models, err)
	}
	// One that contains itself ends with the types.
	faultsOf(t, "models: &m\n  a: *m\n")
	faultsOf(t, "models: {a: &x *x}\n")
}

func TestBoundsHoldAtTheirEdges(t *testing.T) {
	t.Parallel()
	check := func(text string, ok bool) {
		t.Helper()
		if got := faultsOf(t, text); (got == "") != ok {
			t.Errorf("%s: %q", text, got)
		}
	}
	check("limits: {header: 4KB}", true)
	check("limits: {header: 4095}", false)
	check("limits: {header: 1MB}", true)
	check("limits: {header: 1048577}", false)
	check("limits: {body: 1GB, bodies_total: 1GB}", true)
	check("limits: {body: 64MB, bodies_total: 63MB}", false)
	check("limits: {idle: 24h}", true)
	check("limits: {idle: 24h1ns}", false)
	check("limits: {idle: 0s}", false)
	check("engine: {threads: 64}", true)
	check("engine: {threads: 65}", false)
	check("engine: {threads: -1}", false)
	check("engine: {threads: 99999999999999999999}", false)
	check("listen: 127.0.0.1:65535", true)
	check("listen: 127.0.0.1:65536", false)
	check("listen: ''", false)
	check("admin: ''", true)
	check("listen: 127.0.0.1:9\nadmin: 127.0.0.1:9", false)
	check("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0", true)
	check("listen: 8080", false)
}

func TestKeysAreRequiredWhereItMatters(t *testing.T) {
	t.Parallel()
	check := func(listen, require string, keys int, want bool) {
		t.Helper()
		c := Config{Listen: listen, Keys: Keys{Require: require, List: make([]Key, keys)}}
		if c.KeysRequired() != want {
			t.Errorf("listen %s, require %s, %d keys: %v", listen, require, keys, !want)
		}
	}
	check("127.0.0.1:1", "auto", 0, false)
	check("localhost:1", "auto", 0, false)
	check("[::1]:1", "auto", 0, false)
	check("127.0.0.1:1", "auto", 1, true)
	check("0.0.0.0:1", "auto", 0, true)
	check(":8080", "auto", 0, true)
	check("[::]:1", "auto", 0, true)
	check("192.168.1.2:1", "auto", 0, true)
	check("example.com:1", "auto", 0, true)
	check("127.0.0.1:1", "always", 0, true)
	check("0.0.0.0:1", "never", 3, false)
}

func TestReadNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.yaml")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file gives %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("shutdown:\n  grace: 5s\n")
	if c, err := Read(path); err != nil || c.Shutdown.Grace != Duration(5*time.Second) || c.Listen != Default().Listen {
		t.Errorf("%+v, error %v", c, err)
	}
	write("a: 1\nb: 2\n")
	_, err := Read(path)
	want := fmt.Sprintf("%s:1: unknown key \"a\"", path)
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "\n"+path+":2: ") {
		t.Errorf("got %v", err)
	}
	write(strings.Repeat(" ", fileMax+1))
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a huge file gives %v", err)
	}
}

func TestEngineOver(t *testing.T) {
	t.Parallel()
	base := Default().Engine
	if got := base.Over(Engine{}); got != base {
		t.Errorf("nothing over it gives %+v", got)
	}
	all := Engine{Activations: "f32", KV: "int8", Context: 1, Sequences: 2, Waiting: 3, KVMemory: 4}
	if got := base.Over(all); got != all {
		t.Errorf("all over it gives %+v", got)
	}
	if l := all.Local(); l.Activations != "f32" || l.KV != "int8" || l.Context != 1 || l.Sequences != 2 || l.Waiting != 3 || l.CacheBytes != 4 {
		t.Errorf("local is %+v", l)
	}
}
