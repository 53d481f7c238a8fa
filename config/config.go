// Package config reads what an operator wrote: one YAML file becomes one Config, checked whole before anything starts. Unknown keys
// are errors with their line and the nearest known key; every fault is reported, not only the first; secrets come from the
// environment or a file and are never printed.
//
// The package starts no goroutine, holds no lock and opens nothing but the files that the configuration names as secrets. Only app
// and cli's check import it.
package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/telemetry"
)

// Config is the whole configuration. Default gives one that serves; a file changes what it names. The doc tags are what `weir
// check` prints beside each key.
type Config struct {
	// Listen is on loopback by default: nothing is served to a network before somebody says so.
	Listen        string              `yaml:"listen" doc:"address of the API, host:port"`
	Admin         string              `yaml:"admin" doc:"a listener of its own for /metrics, health and the admin API; empty: the first two are on the main one, and there is no third"`
	Models        map[string]Model    `yaml:"models" doc:"NAME: {file: PATH} or NAME: {endpoints: [{url: URL}, ...]}; none: {weir-mini: {builtin: weir-mini}}"`
	Engine        Engine              `yaml:"engine" doc:"how embedded models run"`
	Keys          Keys                `yaml:"keys" doc:"who may ask"`
	Tenants       map[string]Tenant   `yaml:"tenants" doc:"what those who bring a tenant's keys may have, by its name; anonymous: who brings none; others: each that is not named"`
	Prices        map[string]Price    `yaml:"prices" doc:"per million tokens, by model: what budgets in money are counted with"`
	Shared        Shared              `yaml:"shared" doc:"where several replicas keep their limits together"`
	Gate          Gate                `yaml:"admission" doc:"what may wait for a model to have room"`
	Data          string              `yaml:"data" doc:"the folder of what outlives the process: keys, limits, budgets; empty: nothing does"`
	TLS           TLS                 `yaml:"tls" doc:"makes the main listener speak HTTPS; both files are read again when they change"`
	CORS          CORS                `yaml:"cors" doc:"lets browsers on other sites ask"`
	Limits        Limits              `yaml:"limits" doc:"what a client can send and how long it may take"`
	UnknownFields string              `yaml:"unknown_fields" doc:"a request's field that Weir does not know: refuse or ignore"`
	AccessLog     bool                `yaml:"access_log" doc:"one JSON line a request on standard output"`
	Log           telemetry.LogConfig `yaml:"log" doc:"Weir's own log, on standard error"`
	Shutdown      Shutdown            `yaml:"shutdown" doc:"how a stop goes"`
}

// Model is one entry of Models: a built-in model, a file, or any number of endpoints.
type Model struct {
	Builtin   string     `yaml:"builtin" doc:"a built-in model: weir-mini or weir-nano"`
	File      string     `yaml:"file" doc:"a GGUF file or a Hugging Face folder"`
	Engine    Engine     `yaml:"engine" doc:"what differs from the common section"`
	Aliases   []string   `yaml:"aliases" doc:"other names that clients may ask for it by"`
	Fallbacks []string   `yaml:"fallbacks" doc:"models that answer in its place, in this order, where nothing of it can"`
	Hedge     Duration   `yaml:"hedge" doc:"ask a second endpoint where the first has said nothing for so long, and take the faster; 0: never"`
	Objective Objective  `yaml:"objective" doc:"what its answers should keep to"`
	Ladder    Ladder     `yaml:"ladder" doc:"how a request is answered with less where the whole would come too late"`
	Endpoints []Endpoint `yaml:"endpoints" doc:"what answers for it"`
}

// Engine says how embedded models run; see local.Config for what each default is and why.
type Engine struct {
	Threads     int    `yaml:"threads" doc:"workers, common to all models; 0: one a core"`
	Activations string `yaml:"activations" doc:"what meets quantised weights: int8 or f32"`
	KV          string `yaml:"kv" doc:"type of the KV cache: f16, f32 or int8"`
	Context     int    `yaml:"context" doc:"longest prompt and answer in tokens; 0: the model's own, at most 8192"`
	Sequences   int    `yaml:"sequences" doc:"answers computed together"`
	Waiting     int    `yaml:"waiting" doc:"requests that may wait for a place; further ones are answered 503"`
	KVMemory    Size   `yaml:"kv_memory" doc:"memory of one model's KV cache; one whole sequence always fits"`
}

// Keys says who may ask.
type Keys struct {
	Require string `yaml:"require" doc:"auto (where a key is listed or kept under data, or Weir listens beyond this machine), always or never"`
	List    []Key  `yaml:"list" doc:"weir key new makes an entry; its hash may also be ${env:NAME} or ${file:PATH}"`
}

// Key is one API key as it rests: its public id and the hash of the whole.
type Key struct {
	ID     string `yaml:"id" doc:"tells keys apart in logs"`
	Hash   Secret `yaml:"hash" doc:"sha256: and 64 hexadecimal digits, ${env:NAME} or ${file:PATH}"`
	Tenant string `yaml:"tenant" doc:"who the key is for; tenants never share a prefix cache"`

	Class   string   `yaml:"class" doc:"lower than the tenant's; empty: the tenant's"`
	Models  []string `yaml:"models" doc:"what it may ask, of what the tenant may; empty: all of that"`
	Expires string   `yaml:"expires" doc:"a day such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z; empty: never"`
	Admin   bool     `yaml:"admin" doc:"it lets in to the admin API"`
}

// TLS names a certificate and its key.
type TLS struct {
	Cert string `yaml:"cert" doc:"PEM file of the certificate and what signed it"`
	Key  string `yaml:"key" doc:"PEM file of its private key"`
}

// CORS lists the origins that browsers may ask from. Where no keys are required, a request over loopback must have localhost, an
// IP address or the host of one of them as its Host: a page whose name its owner lets mean this machine looks to a browser as if it were ours.
type CORS struct {
	Origins []string `yaml:"origins" doc:"such as https://chat.example.com; without keys, also the names of this server beside localhost and IP addresses; \"*\" is every site"`
}

// Limits bound what a client can send and how long it may take.
type Limits struct {
	Body         Size     `yaml:"body" doc:"largest body of a request"`
	BodiesTotal  Size     `yaml:"bodies_total" doc:"all bodies together"`
	Header       Size     `yaml:"header" doc:"largest head of a request"`
	ReadHeader   Duration `yaml:"read_header" doc:"for the head to arrive"`
	ReadBody     Duration `yaml:"read_body" doc:"for the body to arrive"`
	Idle         Duration `yaml:"idle" doc:"until a kept-alive connection without requests is closed"`
	Request      Duration `yaml:"request" doc:"for a whole answer"`
	WriteTimeout Duration `yaml:"write_timeout" doc:"for one write to a client that does not read"`
}

// Shutdown says how a stop goes.
type Shutdown struct {
	// Grace is longer than most answers take and shorter than the patience of the supervisors that stop us: Kubernetes and
	// systemd kill after 30 s and 90 s.
	Grace Duration `yaml:"grace" doc:"running answers may end within this time"`
}

// Default serves the built-in model on loopback.
func Default() Config {
	return Config{
		Listen:        "127.0.0.1:8080",
		UnknownFields: "refuse",
		Engine:        engineOf(local.Config{}.WithDefaults()),
		Keys:          Keys{Require: "auto"},
		Log:           telemetry.LogConfig{Level: "info", Format: "text"},
		Limits: Limits{
			// 32 MB holds a chat with some images in base64; OpenAI takes 50 MB, few clients send over 1.
			Body: 32 << 20,
			// Sixteen of the largest bodies at once, or thousands of usual ones.
			BodiesTotal: 512 << 20,
			// Go's own default is 1 MB; keys, cookies and trace headers fit 64 KB many times.
			Header: 64 << 10,
			// A head is one packet or two; 10 s leaves room for the slowest link and ends slow-loris clients.
			ReadHeader: Duration(10 * time.Second),
			// 32 MB in a minute is 4 Mbit/s.
			ReadBody: Duration(time.Minute),
			// Longer than load balancers keep theirs (60 s), so that they close first and never send on a closed one.
			Idle: Duration(2 * time.Minute),
			// OpenAI's SDKs give up after 10 minutes.
			Request: Duration(10 * time.Minute),
			// A client that takes nothing for 30 s while the kernel's buffers are full has gone.
			WriteTimeout: Duration(30 * time.Second),
		},
		Shutdown: Shutdown{Grace: Duration(25 * time.Second)},
	}
}

// Validate reports every fault of c, each with its key, its value and the fix.
func (c Config) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, a := range []struct{ key, addr string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if !isAddress(a.addr) && (a.addr != "" || a.key == "listen") {
			add("%s %q is not an address; write host:port, such as 127.0.0.1:8080", a.key, a.addr)
		}
	}
	if c.Admin == c.Listen && !strings.HasSuffix(c.Admin, ":0") {
		add("admin %q is the API's own address; choose another port, or leave admin out to have /metrics there", c.Admin)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		bad = append(bad, c.Models[name].validate(name)...)
		bad = append(bad, c.Models[name].ladder("models."+name, name, c.Models)...)
	}
	bad = append(bad, c.fallbacks()...)
	bad = append(bad, c.Engine.Local().Validate()...)
	if t := c.Engine.Threads; t < 0 || t > 64 {
		add("engine.threads %d is out of range; it is 0 (one a core) to 64", t)
	}
	bad = append(bad, c.Keys.validate()...)
	bad = append(bad, c.tenants()...)
	bad = append(bad, c.TLS.validate()...)
	for i, origin := range c.CORS.Origins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			add("cors.origins[%d] %q is not an origin; write scheme://host[:port] without a path, or \"*\"", i, origin)
		}
	}
	if c.UnknownFields != "refuse" && c.UnknownFields != "ignore" {
		add("unknown_fields %q is not known; it is refuse or ignore", c.UnknownFields)
	}
	bad = append(bad, c.Log.Validate()...)
	return append(bad, c.bounds()...)
}

func isAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (t TLS) validate() []string {
	if (t.Cert == "") != (t.Key == "") {
		return []string{fmt.Sprintf("tls needs both cert and key; got cert %q and key %q", t.Cert, t.Key)}
	}
	var bad []string
	for _, f := range []struct{ key, path string }{{"cert", t.Cert}, {"key", t.Key}} {
		if _, err := os.Stat(f.path); err != nil && f.path != "" {
			bad = append(bad, fmt.Sprintf("tls.%s cannot be read: %v", f.key, err))
		}
	}
	return bad
}

// bounds checks the plain numbers against their ranges.
func (c Config) bounds() []string {
	var bad []string
	size := func(key string, v, least, most Size) {
		if v < least || v > most {
			bad = append(bad, fmt.Sprintf("%s %s is out of range; it is %s to %s", key, v, least, most))
		}
	}
	duration := func(key string, v, most Duration) {
		if v <= 0 || v > most {
			bad = append(bad, fmt.Sprintf("%s %s is out of range; it is above 0 and at most %s", key, v, most))
		}
	}
	size("limits.body", c.Limits.Body, 1<<10, 1<<30)
	size("limits.bodies_total", c.Limits.BodiesTotal, c.Limits.Body, 1<<40)
	size("limits.header", c.Limits.Header, 4<<10, 1<<20)
	day := Duration(24 * time.Hour)
	duration("limits.read_header", c.Limits.ReadHeader, day)
	duration("limits.read_body", c.Limits.ReadBody, day)
	duration("limits.idle", c.Limits.Idle, day)
	duration("limits.request", c.Limits.Request, day)
	duration("limits.write_timeout", c.Limits.WriteTimeout, day)
	duration("shutdown.grace", c.Shutdown.Grace, day)
	return bad
}

// Builtins are the models that the program carries, the one that is served where nothing is named first. Package mini has them;
// this room lies below it and knows the names alone.
func Builtins() []string { return []string{"weir-mini", "weir-nano"} }

func (m Model) validate(name string) []string {
	var bad []string
	path := "models." + name
	if err := registry.ValidName(name); err != nil {
		bad = append(bad, fmt.Sprintf("%s: %v", path, err))
	}
	if len(m.Endpoints) > endpointsMax {
		bad = append(bad, fmt.Sprintf("%s.endpoints has %d entries; %d at most", path, len(m.Endpoints), endpointsMax))
	}
	if m.Hedge < 0 || m.Hedge > Duration(time.Hour) {
		bad = append(bad, fmt.Sprintf("%s.hedge %s is out of range; it is 0 (never) to 1h, best above the usual time to the first token", path, m.Hedge))
	}
	if d := m.Objective; d.TTFT < 0 || d.TPOT < 0 {
		bad = append(bad, fmt.Sprintf("%s.objective is negative; write times such as {ttft: 2s, tpot: 200ms}", path))
	}
	seen := map[string]bool{}
	for i, e := range m.All(name) {
		if seen[e.Name] {
			bad = append(bad, fmt.Sprintf("%s.endpoints[%d].name %q is used twice; give it another", path, i, e.Name))
		}
		seen[e.Name] = true
		if i < len(m.Endpoints) {
			bad = append(bad, e.validate(fmt.Sprintf("%s.endpoints[%d]", path, i))...)
		}
	}
	if len(m.Endpoints) > 0 && m.File == "" && m.Builtin == "" {
		if m.Engine != (Engine{}) {
			bad = append(bad, path+".engine is for the model's own file; write it beside the endpoint's file")
		}
		return bad
	}
	return append(bad, m.source(path)...)
}

// source checks what the embedded engine runs, and how.
func (m Model) source(path string) []string {
	var bad []string
	switch {
	case m.Builtin == "" && m.File == "":
		bad = append(bad, fmt.Sprintf("%s names nothing that answers; give it endpoints: [{url: URL}], file: PATH or builtin: weir-mini", path))
	case m.Builtin != "" && m.File != "":
		bad = append(bad, fmt.Sprintf("%s has both builtin and file; keep one", path))
	case m.Builtin != "" && !slices.Contains(Builtins(), m.Builtin):
		bad = append(bad, fmt.Sprintf("%s.builtin %q does not exist; there are %s", path, m.Builtin, strings.Join(Builtins(), " and ")))
	case m.File != "":
		if _, err := os.Stat(m.File); err != nil {
			bad = append(bad, fmt.Sprintf("%s.file %q cannot be read: %v", path, m.File, err))
		}
	}
	if m.Engine.Threads != 0 {
		bad = append(bad, fmt.Sprintf("%s.engine.threads: threads are common to all models; set engine.threads", path))
	}
	for _, fault := range m.Engine.Local().Validate() {
		bad = append(bad, fmt.Sprintf("%s.%s", path, fault))
	}
	return bad
}

// keysMax is what the gateway takes: every request is compared with every key.
const keysMax = 10_000

func (k Keys) validate() []string {
	var bad []string
	if k.Require != "auto" && k.Require != "always" && k.Require != "never" {
		bad = append(bad, fmt.Sprintf("keys.require %q is not known; it is auto, always or never", k.Require))
	}
	if len(k.List) > keysMax {
		bad = append(bad, fmt.Sprintf("keys.list has %d entries; %d at most", len(k.List), keysMax))
	}
	seen := map[string]bool{}
	for i, key := range k.List {
		if key.ID == "" || seen[key.ID] {
			bad = append(bad, fmt.Sprintf("keys.list[%d].id %q is empty or used twice; `weir key new` makes an entry", i, key.ID))
		}
		seen[key.ID] = true
		if _, err := llm.ParseClass(key.Class); err != nil && key.Class != "" {
			bad = append(bad, fmt.Sprintf("keys.list[%d].class: %v", i, err))
		}
		if _, err := key.ExpiresAt(); err != nil {
			bad = append(bad, fmt.Sprintf("keys.list[%d].expires: %v", i, err))
		}
		if key.Hash.Value() == hidden {
			bad = append(bad, fmt.Sprintf("keys.list[%d].hash is what `weir check` prints in a hash's place; copy the hash itself", i))
			continue
		}
		if h, ok := strings.CutPrefix(key.Hash.Value(), "sha256:"); !ok || len(h) != 64 || strings.Trim(h, "0123456789abcdef") != "" {
			bad = append(bad, fmt.Sprintf("keys.list[%d].hash is not sha256: and 64 hexadecimal digits; `weir key new` makes an entry", i))
		}
	}
	return bad
}

// KeysRequired reports whether a request needs a key: by name, or, on auto, wherever Weir listens beyond loopback or a key is
// listed at all.
func (c Config) KeysRequired() bool {
	switch c.Keys.Require {
	case "always":
		return true
	case "never":
		return false
	}
	return len(c.Keys.List) > 0 || !Loopback(c.Listen)
}

// Loopback reports whether addr reaches this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Over gives e with what o sets put over it.
func (e Engine) Over(o Engine) Engine {
	if o.Activations != "" {
		e.Activations = o.Activations
	}
	if o.KV != "" {
		e.KV = o.KV
	}
	if o.Context != 0 {
		e.Context = o.Context
	}
	if o.Sequences != 0 {
		e.Sequences = o.Sequences
	}
	if o.Waiting != 0 {
		e.Waiting = o.Waiting
	}
	if o.KVMemory != 0 {
		e.KVMemory = o.KVMemory
	}
	return e
}

func engineOf(l local.Config) Engine {
	return Engine{Activations: l.Activations, KV: l.KV, Context: l.Context, Sequences: l.Sequences, Waiting: l.Waiting, KVMemory: Size(l.CacheBytes)}
}

// Local is e as the embedded engine's hand takes it.
func (e Engine) Local() local.Config {
	return local.Config{Activations: e.Activations, KV: e.KV, Context: e.Context, Sequences: e.Sequences, Waiting: e.Waiting, CacheBytes: int64(e.KVMemory)}
}
