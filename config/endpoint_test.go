package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEndpointsAreRead(t *testing.T) {
	t.Setenv("WEIR_TEST_KEY", "sk-upstream")
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("sk-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte(`
models:
  chat:
    aliases: [gpt-4o-mini, gpt-4o]
    fallbacks: [small]
    objective: {ttft: 1s, tpot: 50ms}
    endpoints:
      - {url: "http://127.0.0.1:8001/v1", model: qwen3-8b, slots: 64}
      - {name: cloud, url: "https://api.example.com/v1", model: x-large, key_env: WEIR_TEST_KEY, headers: {x-team: "${env:WEIR_TEST_KEY}"}, weight: 0.2, timeouts: {first: 5s}}
      - {url: "http://vllm:8000/v1", discover: dns, key_file: ` + keyFile + `}
      - {builtin: weir-nano, engine: {context: 512}}
  small: {builtin: weir-mini}
`))
	if err != nil {
		t.Fatal(err)
	}
	chat := c.Models["chat"]
	if chat.Aliases[1] != "gpt-4o" || chat.Fallbacks[0] != "small" || time.Duration(chat.Objective.TPOT) != 50*time.Millisecond {
		t.Errorf("got %+v", chat)
	}
	all := chat.All("chat")
	if all[0].Name != "chat-1" || all[1].Name != "cloud" || all[3].Name != "chat-4" || all[3].Remote() || !all[2].Remote() || all[1].Weight != 0.2 {
		t.Errorf("got %+v", all)
	}
	hand, err := all[1].Hand()
	if err != nil || hand.Key != "sk-upstream" || hand.Headers["x-team"] != "sk-upstream" || hand.First != 5*time.Second {
		t.Errorf("got %+v, %v", hand, err)
	}
	if hand, err = all[2].Hand(); err != nil || hand.Key != "sk-from-file" {
		t.Errorf("got %+v, %v", hand, err)
	}
	if one := c.Models["small"].All("small"); len(one) != 1 || one[0].Builtin != "weir-mini" || one[0].Name != "embedded" {
		t.Errorf("a model of one file has the endpoints %+v", one)
	}
	text, err := c.Print()
	if err != nil || strings.Contains(text, "sk-") {
		t.Errorf("printed with a key in it, %v:\n%s", err, text)
	}
	if again, err := Parse([]byte(text)); err != nil || again.Models["chat"].Endpoints[1].KeyEnv != "WEIR_TEST_KEY" || again.Models["chat"].Endpoints[1].Weight != 0.2 {
		t.Errorf("what is printed reads back as %+v, %v:\n%s", again.Models, err, text)
	}
}

func TestEndpointsFaultsAreTold(t *testing.T) {
	t.Parallel()
	faults := func(endpoint string) string {
		return faultsOf(t, "models:\n  m:\n    endpoints:\n      - "+endpoint)
	}
	for endpoint, want := range map[string]string{
		`{}`:                                                                        "line 4: models.m.endpoints[0] needs one of url, watch, file and builtin; it has 0 of them",
		`{url: "http://a/v1", file: x}`:                                             "it has 2 of them",
		`{url: "a:1"}`:                                                              `models.m.endpoints[0].url "a:1" is not an address; write http://host:port/v1`,
		`{url: "http://u:p@a/v1"}`:                                                  "user or password",
		`{url: "http://a/v1/chat/completions"}`:                                     "names a route; write the base that all routes share, such as http://a/v1",
		`{url: "http://a/v1", kind: vlm}`:                                           `kind "vlm" is not known`,
		`{url: "http://a/v1", key_env: WEIR_NO_SUCH}`:                               "the environment has no WEIR_NO_SUCH",
		`{url: "http://a/v1", key_file: /no/such}`:                                  "key_file: ",
		`{url: "http://a/v1", headers: {Authorization: x}}`:                         "a key belongs to key_env or key_file",
		`{url: "http://a/v1", headers: {"a b": x}}`:                                 "cannot be a header",
		`{url: "http://a/v1", ca: /no/such.pem}`:                                    `ca "/no/such.pem" cannot be read`,
		`{url: "http://a/v1", weight: -1}`:                                          "weight -1 is out of range",
		`{url: "http://a/v1", weight: much}`:                                        `models.m.endpoints[0].weight "much" is not a number`,
		`{url: "http://a/v1", slots: -1}`:                                           "slots -1 is out of range",
		`{url: "http://a/v1", discover: mdns}`:                                      `discover "mdns" is not known; it is dns or srv`,
		`{url: "http://a/v1", discover: dns}`:                                       "has no port",
		`{url: "http://a/v1", engine: {context: 5}}`:                                "engine is for the embedded engine",
		`{url: "http://a/v1", name: "a b"}`:                                         "cannot be shown in headers",
		`{url: "http://a/v1", timeouts: {first: 48h}}`:                              "timeouts.first 48h0m0s is out of range",
		`{url: "http://a/v1", modle: x}`:                                            `unknown key "models.m.endpoints[0].modle"; did you mean "models.m.endpoints[0].model"?`,
		`{builtin: weir-mini, kind: vllm}`:                                          "runs in this process",
		`{builtin: gpt-5}`:                                                          `models.m.endpoints[0].builtin "gpt-5" does not exist`,
		`{watch: /no/such}`:                                                         `watch "/no/such" cannot be read`,
		`{name: a, builtin: weir-mini}` + "\n      - {name: a, builtin: weir-mini}": `endpoints[1].name "a" is used twice`,
	} {
		if got := faults(endpoint); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", endpoint, got, want)
		}
	}
	for text, want := range map[string]string{
		"models:\n  a: {builtin: weir-mini, aliases: [b]}\n  b: {builtin: weir-mini}":          `models.a.aliases[0] "b" is a name of model "b" already`,
		"models:\n  a: {builtin: weir-mini, fallbacks: [smal]}\n  small: {builtin: weir-mini}": `models.a.fallbacks[0] "smal" is not a model of this configuration; did you mean "small"?`,
		"models:\n  a: {builtin: weir-mini, hedge: 2h}":                                        "models.a.hedge 2h is out of range",
		"models:\n  a: {builtin: weir-mini, fallbacks: [a]}":                                   "is the model itself",
		"models:\n  a: {endpoints: [{builtin: weir-mini}], engine: {context: 9}}":              "models.a.engine is for the model's own file",
	} {
		if got := faultsOf(t, text); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	t.Parallel()
	text := "models:\n  m:\n    endpoints:\n"
	for i := range endpointsMax {
		text += fmt.Sprintf("      - {url: \"http://h%d:1/v1\"}\n", i)
	}
	if got := faultsOf(t, text); got != "" {
		t.Errorf("%d endpoints: %.300s", endpointsMax, got)
	}
	if got := faultsOf(t, text+"      - {url: \"http://more:1/v1\"}\n"); !strings.Contains(got, "1025 entries; 1024 at most") {
		t.Errorf("one more: %.300s", got)
	}
}
