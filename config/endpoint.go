package config

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// Endpoint is one thing that answers for a model: another engine by its URL, or a file that the embedded engine runs.
type Endpoint struct {
	Name     string            `yaml:"name" doc:"as x-weir-endpoint, logs and metrics show it; empty: the model's name and a number"`
	URL      string            `yaml:"url" doc:"base of an OpenAI-compatible API, such as http://127.0.0.1:8001/v1"`
	Model    string            `yaml:"model" doc:"what the endpoint calls the model; empty: as clients do"`
	Kind     string            `yaml:"kind" doc:"vllm, sglang, llamacpp, ...; empty: it is asked"`
	Discover string            `yaml:"discover" doc:"dns: every address of the url's host is an endpoint; srv: every target of its SRV records"`
	Watch    string            `yaml:"watch" doc:"a file that lists endpoints, read again when it changes"`
	Slots    int               `yaml:"slots" doc:"answers that it computes together; 0: what it says itself"`
	Weight   float64           `yaml:"weight" doc:"its share of the requests against the others' shares; 0 is 1"`
	KeyEnv   string            `yaml:"key_env" doc:"the environment variable that holds its key"`
	KeyFile  string            `yaml:"key_file" doc:"the file that holds its key"`
	Headers  map[string]Secret `yaml:"headers" doc:"sent with every request; a value may be ${env:NAME} or ${file:PATH}"`
	CA       string            `yaml:"ca" doc:"PEM file of authorities to trust beside the system's"`
	HTTP2    bool              `yaml:"http2" doc:"speak HTTP/2 without TLS, too"`
	Timeouts Timeouts          `yaml:"timeouts" doc:"how long it may be silent"`
	File     string            `yaml:"file" doc:"a GGUF file or a Hugging Face folder for the embedded engine"`
	Builtin  string            `yaml:"builtin" doc:"a built-in model: weir-mini or weir-nano"`
	Engine   Engine            `yaml:"engine" doc:"how the embedded engine runs it, where that differs"`
}

// Timeouts say how long an endpoint may be silent; see openai.Config for what each default is and why.
type Timeouts struct {
	Connect Duration `yaml:"connect" doc:"for a connection and its handshake; 0 is 2s"`
	First   Duration `yaml:"first" doc:"until the first token; 0 is 2m"`
	Between Duration `yaml:"between" doc:"between two events of a stream; 0 is 30s"`
	Total   Duration `yaml:"total" doc:"for a whole answer; 0: as limits.request says"`
}

// Objective is what a model's answers should keep to.
type Objective struct {
	TTFT    Duration                  `yaml:"ttft" doc:"time to the first token; 0 is 2s"`
	TPOT    Duration                  `yaml:"tpot" doc:"time per further token; 0 is 200ms"`
	Classes map[string]ClassObjective `yaml:"classes" doc:"what differs for a class; batch has none unless it is here"`
}

// endpointsMax is what the fleet takes for one model.
const endpointsMax = 1024

// All gives the endpoints of m: those that it lists, or the one that its file or built-in model is. Every one has a name.
func (m Model) All(model string) []Endpoint {
	list := slices.Clone(m.Endpoints)
	if m.File != "" || m.Builtin != "" {
		list = append(list, Endpoint{Name: "embedded", File: m.File, Builtin: m.Builtin})
	}
	for i := range list {
		if list[i].Name == "" {
			list[i].Name = model + "-" + strconv.Itoa(i+1)
		}
	}
	return list
}

// Remote reports whether the endpoint is another engine's.
func (e Endpoint) Remote() bool { return e.URL != "" || e.Watch != "" }

// Hand is e as the hand that reaches it takes it. The error is a key that cannot be read.
func (e Endpoint) Hand() (openai.Config, error) {
	c := openai.Config{
		URL: e.URL, Model: e.Model, Kind: e.Kind, CA: e.CA, HTTP2: e.HTTP2,
		Connect: time.Duration(e.Timeouts.Connect), First: time.Duration(e.Timeouts.First), Between: time.Duration(e.Timeouts.Between), Total: time.Duration(e.Timeouts.Total),
	}
	for name, v := range e.Headers {
		if c.Headers == nil {
			c.Headers = map[string]string{}
		}
		c.Headers[name] = v.Value()
	}
	var key Secret
	switch {
	case e.KeyEnv != "":
		if err := key.UnmarshalText([]byte("${env:" + e.KeyEnv + "}")); err != nil {
			return c, fmt.Errorf("key_env: %w", err)
		}
		c.KeyName = e.KeyEnv
	case e.KeyFile != "":
		if err := key.UnmarshalText([]byte("${file:" + e.KeyFile + "}")); err != nil {
			return c, fmt.Errorf("key_file: %w", err)
		}
		c.KeyName = e.KeyFile
	default:
		return c, nil
	}
	if c.Key = strings.TrimSpace(key.Value()); c.Key == "" || strings.ContainsAny(c.Key, "\r\n") {
		return c, fmt.Errorf("the key of %s is empty or has more than one line", c.KeyName)
	}
	return c, nil
}

// validate reports every fault of the endpoint whose key is path.
func (e Endpoint) validate(path string) []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, path+fmt.Sprintf(format, args...)) }
	if e.Name != "" && registry.ValidName(e.Name) != nil {
		add(".name %q cannot be shown in headers and labels; use letters, digits and dashes", e.Name)
	}
	set := 0
	for _, s := range []string{e.URL, e.Watch, e.File, e.Builtin} {
		if s != "" {
			set++
		}
	}
	if set != 1 {
		add(" needs one of url, watch, file and builtin; it has %d of them", set)
		return bad
	}
	if e.Weight < 0 || e.Weight > 1000 {
		add(".weight %g is out of range; it is above 0 and at most 1000", e.Weight)
	}
	if e.Slots < 0 || e.Slots > 1<<20 {
		add(".slots %d is out of range; it is 0 (what the endpoint says) or more", e.Slots)
	}
	if e.Remote() {
		return append(bad, e.validateRemote(path)...)
	}
	if e.Model != "" || e.Kind != "" || e.KeyEnv != "" || e.KeyFile != "" || len(e.Headers) > 0 || e.CA != "" || e.Discover != "" || e.Timeouts != (Timeouts{}) {
		add(" runs in this process: model, kind, key, headers, ca, discover and timeouts are for endpoints with a url")
	}
	return append(bad, Model{File: e.File, Builtin: e.Builtin, Engine: e.Engine}.source(path)...)
}

func (e Endpoint) validateRemote(path string) []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, path+fmt.Sprintf(format, args...)) }
	if e.Engine != (Engine{}) {
		add(".engine is for the embedded engine; leave it out beside a url")
	}
	if e.KeyEnv != "" && e.KeyFile != "" {
		add(" has both key_env and key_file; keep one")
	}
	if e.Discover != "" && (e.Discover != "dns" && e.Discover != "srv" || e.URL == "") {
		add(".discover %q is not known; it is dns or srv, beside a url", e.Discover)
	}
	hand, err := e.Hand()
	if err != nil {
		add(".%v", err)
	}
	if e.Watch != "" {
		if _, err := os.Stat(e.Watch); err != nil {
			add(".watch %q cannot be read: %v", e.Watch, err)
		}
		hand.URL = "http://watched" // each line of the file brings its own
	}
	for _, fault := range hand.Validate() {
		add(".%s", fault)
	}
	if u, err := url.Parse(e.URL); err == nil && e.Discover == "dns" && u.Port() == "" && u.Scheme == "http" {
		add(".url %q has no port, and discover: dns needs one", e.URL)
	}
	return bad
}

// fallbacks checks that every alias and fallback means one model and that no model waits for itself.
func (c Config) fallbacks() []string {
	var bad []string
	owner := map[string]string{}
	for name := range c.Models {
		owner[name] = name
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		for i, alias := range c.Models[name].Aliases {
			at := fmt.Sprintf("models.%s.aliases[%d]", name, i)
			if err := registry.ValidName(alias); err != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", at, err))
			} else if other, taken := owner[alias]; taken {
				bad = append(bad, fmt.Sprintf("%s %q is a name of model %q already; keep one", at, alias, other))
			}
			owner[alias] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		for i, f := range c.Models[name].Fallbacks {
			at := fmt.Sprintf("models.%s.fallbacks[%d]", name, i)
			if f == name {
				bad = append(bad, at+" is the model itself; name another one")
			} else if _, ok := c.Models[f]; !ok {
				near, _ := nearest(f, slices.Sorted(maps.Keys(c.Models)))
				bad = append(bad, fmt.Sprintf("%s %q is not a model of this configuration; did you mean %q?", at, f, near))
			}
		}
	}
	return bad
}

// Names are the aliases or fallbacks as the registry has them.
func Names(list []string) []llm.ModelID {
	var out []llm.ModelID
	for _, s := range list {
		out = append(out, llm.ModelID(s))
	}
	return out
}
