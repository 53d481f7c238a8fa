package sdktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// core lists what every SDK shows, in the order in which it does. The checks have the same meaning in all languages; none depends on
// what the model answers.
func core() []string {
	return []string{
		"chat",              // one answer, with every field that the SDK's types require
		"chat_stream",       // the chunks joined are the plain answer at temperature 0
		"include_usage",     // a last chunk without choices tells the usage, if asked
		"usage",             // agrees with /tokenize and with max_tokens
		"roles",             // system, developer and assistant messages
		"parts",             // content as a list of text parts
		"completion",        // one answer to a text, a list of texts, token ids
		"completion_stream", //
		"unicode",           // the prompt comes back unbroken from echo, whole and in chunks
		"models",            // list and retrieve
		"logprobs",          // of chats and completions
		"n",                 // two answers to one prompt
		"stop",              // the answer ends before a stop string, whole and in chunks
		"seed",              // the same seed gives the same answer, another seed another
		"length",            // max_tokens and max_completion_tokens end with the reason "length"
		"bad_key",           // 401
		"unknown_model",     // 404, code model_not_found
		"bad_field",         // 400 with the field's name as param, for a wrong value and for an unknown field
		"too_long",          // 400, code context_length_exceeded
		"no_key",            // any key lets in where none is required
		"retry",             // a full queue is 503 with Retry-After, and the SDK's own retry then succeeds
		"cancel",            // a stream that is left in the middle frees its sequences
	}
}

// result is one line that a script prints.
type result struct {
	Check  string // its name; empty in the last line, which says that the script came to its end
	Ok     bool
	Detail string // why it failed
}

// runScript runs an SDK's script and makes a subtest of each check that it reports. All of must have to be among them.
func runScript(t *testing.T, b bundle, cmd *exec.Cmd, must []string) {
	t.Helper()
	cmd.Env = append(cleanEnviron(),
		"WEIR_URL="+b.keyed.url, "WEIR_KEY="+b.keyed.key, "WEIR_NARROW_URL="+b.narrow.url, "WEIR_MODEL="+model,
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "LANGSMITH_TRACING=false")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var seen []string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var r result
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			t.Logf("the script printed: %s", lines.Text())
			continue
		}
		seen = append(seen, r.Check)
		if r.Check != "" {
			t.Run(r.Check, func(t *testing.T) {
				if !r.Ok {
					t.Error(r.Detail)
				}
			})
		}
	}
	for _, name := range append(must, "") {
		if n := len(slices.DeleteFunc(slices.Clone(seen), func(s string) bool { return s != name })); n != 1 {
			t.Errorf("the script reported the check %q %d times, want once", name, n)
		}
	}
	if err != nil || t.Failed() {
		t.Errorf("the script ended with %v; it wrote: %s", err, tail(stderr.Bytes()))
	}
}

// cleanEnviron is the environment without what would turn an SDK away from the server under test.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OPENAI_") || strings.HasPrefix(v, "LANGSMITH_") || strings.HasPrefix(v, "LANGCHAIN_") || strings.HasPrefix(v, "PYTHON")
	})
}

func TestPython(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	check := func(name, script string, must []string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runScript(t, setup(t), exec.CommandContext(t.Context(), interpreter, script), must)
		})
	}
	check("SDK", "python/openai_sdk.py", core())
	check("LangChain", "python/langchain.py", []string{
		"invoke", "messages", "stream", "stream_usage", "batch", "ainvoke", "astream", "usage", "stop", "seed", "logprobs", "bad_key", "unknown_model", "too_long",
	})
}

func TestNode(t *testing.T) {
	t.Parallel()
	program, dir := node(t)
	// From standard input, because the script's imports are then looked up from the working folder, which has the packages.
	script := exec.CommandContext(t.Context(), program, "--input-type=module", "-")
	script.Stdin = bytes.NewReader(read(t, "node/openai_sdk.mjs"))
	script.Dir = dir
	runScript(t, setup(t), script, core())
}
