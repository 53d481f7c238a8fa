package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	check := func(text string, want Size, printed string) {
		t.Helper()
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want || s.String() != printed {
			t.Errorf("%q gives %d (%s), error %v", text, s, s, err)
		}
	}
	check("0", 0, "0")
	check("1", 1, "1B")
	check("1536", 1536, "1536B")
	check("1KB", 1<<10, "1KB")
	check("32MB", 32<<20, "32MB")
	check("32 mb", 32<<20, "32MB")
	check("32MiB", 32<<20, "32MB")
	check("1024MB", 1<<30, "1GB")
	check("2TB", 2<<40, "2TB")
	check("5B", 5, "5B")
	refuse := func(text string) {
		t.Helper()
		s := Size(7)
		if err := s.UnmarshalText([]byte(text)); err == nil || s != 7 {
			t.Errorf("%q gives %d", text, s)
		}
	}
	for _, text := range []string{"", "MB", "-1", "+1", "1.5MB", "1PB", "1 M B", "I1MB", "IB", "1IB", "0x10", "1_000", "99999999999TB", "9223372036854775807"} {
		refuse(text)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	check := func(text string, want time.Duration, printed string) {
		t.Helper()
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want || d.String() != printed {
			t.Errorf("%q gives %s, error %v", text, d, err)
		}
	}
	check("500ms", 500*time.Millisecond, "500ms")
	check("90s", 90*time.Second, "1m30s")
	check("10m", 10*time.Minute, "10m")
	check("1h", time.Hour, "1h")
	check("1h10m", 70*time.Minute, "1h10m")
	check("1h5s", time.Hour+5*time.Second, "1h0m5s")
	check("0s", 0, "0s")
	for _, text := range []string{"", "5", "5 parsecs", "1d"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "500ms") {
			t.Errorf("%q gives %s, error %v", text, d, err)
		}
	}
}

// TestSecretsComeFromOutside sets the environment, so it does not run beside others.
func TestSecretsComeFromOutside(t *testing.T) {
	t.Setenv("WEIR_TEST_HASH", hash)
	path := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(path, []byte(hash+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte("keys:\n  list:\n    - {id: a, hash: \"${env:WEIR_TEST_HASH}\"}\n    - id: b\n      hash: ${file:" + path + "}\n    - {id: c, hash: '" + hash + "'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Keys.List {
		if k.Hash.Value() != hash {
			t.Errorf("%s: %q", k.ID, k.Hash.Value())
		}
	}
	text, err := c.Print()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{text, string(asJSON), fmt.Sprint(c), fmt.Sprintf("%+v %#v %s", c, c, c.Keys.List[2].Hash)} {
		if strings.Contains(told, hash) || strings.Contains(told, strings.TrimPrefix(hash, "sha256:")) {
			t.Errorf("the secret is told: %s", told)
		}
	}
	for _, want := range []string{"${env:WEIR_TEST_HASH}", "${file:" + path + "}", "********"} {
		if !strings.Contains(text, want) || !strings.Contains(string(asJSON), want) {
			t.Errorf("%s is not printed:\n%s\n%s", want, text, asJSON)
		}
	}
	if got := faultsOf(t, text); !strings.Contains(got, "keys.list[2].hash is what `weir check` prints in a hash's place") || strings.Contains(got, "\n") {
		t.Errorf("a printed secret, read back, gives %q", got)
	}
}

func TestSecretsThatAreNotThere(t *testing.T) {
	t.Parallel()
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, secretFileMax+1), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(ref, want string) {
		t.Helper()
		got := faultsOf(t, "keys:\n  list:\n    - id: a\n      hash: \""+ref+"\"\n")
		if !strings.Contains(got, "line 4: keys.list[0].hash "+want) {
			t.Errorf("%s gives %q", ref, got)
		}
	}
	check("${env:WEIR_TEST_UNSET}", "${env:WEIR_TEST_UNSET}: the environment has no WEIR_TEST_UNSET; set it or write ${file:PATH}")
	check("${file:/no/such/file}", "${file:/no/such/file}: ")
	check("${file:"+big+"}", "${file:"+big+"} has 65537 bytes; a secret has at most 65536")
	check("${vault:x}", "${vault:x} is not a reference; write ${env:NAME} or ${file:PATH}")
	check("${env}", "${env}: the environment has no ")
}

// TestPrintComesBack reads what it printed, of a configuration in which every key has a value of its own.
func TestPrintComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a model: #1.gguf")
	secret := filepath.Join(dir, "hash")
	for path, text := range map[string]string{file: "x", secret: hash} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse([]byte(fmt.Sprintf(`
listen: 127.0.0.1:1
admin: "[::1]:2"
models:
  no: {builtin: weir-mini}
  "1.5": {file: %q, engine: {activations: f32, kv: int8, context: 100, sequences: 2, waiting: 3, kv_memory: 5MB}}
engine: {threads: 3, activations: f32, kv: f32, context: 7, sequences: 8, waiting: 9, kv_memory: 10MB}
keys: {require: always, list: [{id: "007", hash: "${file:%s}", tenant: "true"}, {id: "a: b", hash: "${file:%s}", tenant: "ü\n\"#"}]}
tenants:
  a: {class: interactive, weight: 2.5, limits: {requests: 6, tokens: 7, concurrent: 8}, budgets: [{tokens: 9, money: 1.5, per: month, zone: Europe/Berlin}], models: ["m*"]}
  others: {class: batch}
prices: {no: {input: 0.15, cached: 0.075, output: 0.6}}
shared: {url: "valkeys://127.0.0.1:6379", user: u, password: "${file:%s}", ca: ca.pem}
admission: {waiting: 10, bytes: 11MB, tenant: 12, wait: 13s, shares: {interactive: 0.01, standard: 0.02, batch: 0.005}}
data: /var/lib/weir
tls: {cert: %q, key: %q}
cors: {origins: ["*", "https://a.example:8443"]}
limits: {body: 1MB, bodies_total: 2MB, header: 5KB, read_header: 1s, read_body: 2s, idle: 3s, request: 4m, write_timeout: 500ms}
unknown_fields: ignore
access_log: true
log: {level: debug, format: json}
shutdown: {grace: 1h}
`, file, secret, secret, secret, file, file)))
	if err != nil {
		t.Fatal(err)
	}
	everyKeyDiffers(t, reflect.ValueOf(c), reflect.ValueOf(Default()), "")
	for _, c := range []Config{c, Default()} {
		text, err := c.Print()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if c.Models == nil {
			c.Models, c.Tenants, c.Prices = map[string]Model{}, map[string]Tenant{}, map[string]Price{}
		}
		if c.Keys.List == nil {
			c.Keys.List, c.CORS.Origins = []Key{}, []string{}
		}
		if !reflect.DeepEqual(back, c) {
			t.Errorf("printed\n%s\nread back %+v\nwant %+v", text, back, c)
		}
	}
}

// everyKeyDiffers keeps TestPrintComesBack honest when keys are added.
func everyKeyDiffers(t *testing.T, v, d reflect.Value, path string) {
	t.Helper()
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Secret]() {
		for i := range v.NumField() {
			everyKeyDiffers(t, v.Field(i), d.Field(i), join(path, v.Type().Field(i).Name))
		}
		return
	}
	if reflect.DeepEqual(v.Interface(), d.Interface()) {
		t.Errorf("%s has its default; give it another value in this test", path)
	}
}

// TestEveryKeyIsDocumented and printed: `weir check` is the reference.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := Default().Print()
	if err != nil {
		t.Fatal(err)
	}
	var look func(typ reflect.Type, path string)
	look = func(typ reflect.Type, path string) {
		switch typ.Kind() {
		case reflect.Map, reflect.Slice:
			look(typ.Elem(), path)
		case reflect.Struct:
			for i := range typ.NumField() {
				f := typ.Field(i)
				key := f.Tag.Get("yaml")
				if key == "" {
					continue
				}
				if f.Tag.Get("doc") == "" {
					t.Errorf("%s.%s has no doc", path, key)
				}
				if !strings.Contains(path, "models") && !strings.Contains(path, "tenants") && !strings.Contains(path, "prices") && !strings.Contains(path, "list") && !strings.Contains(text, key+":") {
					t.Errorf("%s.%s is not printed", path, key)
				}
				look(f.Type, path+"."+key)
			}
		}
	}
	look(reflect.TypeFor[Config](), "")
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.Contains(line, " # ") {
			t.Errorf("no doc in %q", line)
		}
	}
	if testing.Verbose() {
		t.Log("\n" + text)
	}
}

func FuzzParse(f *testing.F) {
	text, err := Default().Print()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{text, "", "models: {a: {builtin: weir-mini}}", "keys:\n  list:\n    - {id: a, hash: '" + hash + "'}\n", "a: &b [*b]\n", "? x\n: y\n", "limits: {body: |\n  1MB\n}", "!!set {a}", "<<: {}", "\t", "\xff", "a: 'b", "- - -"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			if faults, ok := err.(Faults); !ok || len(faults) == 0 || faults.Error() == "" {
				t.Fatalf("the error is %#v", err)
			}
			return
		}
		// What is accepted is printed so that it is accepted again and means the same, but for secrets in the open.
		printed, err := c.Print()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse([]byte(printed))
		if err != nil && !strings.Contains(printed, hidden) {
			t.Fatalf("%v\n%s", err, printed)
		}
		if err == nil {
			if again, _ := back.Print(); again != printed {
				t.Fatalf("first\n%s\nthen\n%s", printed, again)
			}
		}
	})
}
