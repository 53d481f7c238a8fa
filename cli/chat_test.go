package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/term"
)

func TestChatFromAPipe(t *testing.T) {
	t.Parallel()
	out := weir(t, "What is 17 + 25?\n\n/undo\n/history\n/nonsense\n/exit\nnever read\n", "chat").ok(t)
	if !strings.HasPrefix(out, "weir-mini  llama") || strings.Contains(out, "\x1b") || !strings.Contains(out, "/nonsense is not a command") || strings.Contains(out, "never read") || strings.Contains(out, "user:") {
		t.Errorf("the conversation is\n%s", out)
	}
	// The end of the input ends the conversation, too.
	answer := weir(t, "", "run", "What is 17 + 25?").ok(t)
	if out := weir(t, "What is 17 + 25?", "chat").ok(t); !strings.HasSuffix(out, "\n\n"+answer+"\n") {
		t.Errorf("the conversation is\n%q, the answer alone %q", out, answer)
	}
	// A conversation longer than the context fails as one answer, not as a program.
	out = weir(t, strings.Repeat("word ", 300)+"\n/history\nhi\n", "chat", "--context", "100").ok(t)
	if !strings.Contains(out, "100 tokens") || !strings.Contains(out, "/new begins a new conversation") || strings.Contains(out, "user:") {
		t.Errorf("the conversation is\n%s", out)
	}
}

func TestScreenLetsNoControlThrough(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	text := "a\x1b[31mb\x07\r\nc\td\u009b2Jé\x00"
	if n, err := (screen{&b}).Write([]byte(text)); n != len(text) || err != nil || b.String() != "a[31mb\nc\td2Jé" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}

// TestKeyboardKeepsTheOrder gives the line editor keys that came in one piece.
func TestKeyboardKeepsTheOrder(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("first\rsecond\x03\x03third\r" + arrowsUp); err != nil {
		t.Fatal(err)
	}
	w.Close()
	keys := &keyboard{in: r}
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, io.Discard}, "> ")
	editor.History = &recall{History: editor.History}
	check := func(want string, interrupted bool) {
		t.Helper()
		line, err := editor.ReadLine()
		if err != nil || line != want || keys.interrupted != interrupted {
			t.Errorf("%q, interrupted %v, error %v; want %q, %v", line, keys.interrupted, err, want, interrupted)
		}
		keys.interrupted = false
	}
	check("first", false)
	check("", true)
	check("", true)
	check("third", false)
	check("first", false) // two up: what was thrown away is not there
	if _, err := editor.ReadLine(); err != io.EOF {
		t.Errorf("the end is %v", err)
	}
}

const arrowsUp = "\x1b[A\x1b[A\r"
