package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// console is a program on a real pseudo-terminal, as a person has it.
type console struct {
	t      *testing.T
	screen *os.File // our end
	cmd    *exec.Cmd
	ended  chan error

	mu struct {
		sync.Mutex
		text string        // all that was shown
		more chan struct{} // closed when there is more
	}
	seen int // up to here the test has looked
}

// newConsole starts the program with args.
func newConsole(t *testing.T, env []string, args ...string) *console {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, screen: screen, cmd: exec.Command(binary(t), args...), ended: make(chan error, 1)}
	c.mu.more = make(chan struct{})
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = terminal, terminal, terminal
	c.cmd.Env = append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.cmd.Wait() }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	go c.watch()
	return c
}

// watch collects what is shown until the terminal is gone.
func (c *console) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := c.screen.Read(buf)
		c.mu.Lock()
		c.mu.text += string(buf[:n])
		close(c.mu.more)
		c.mu.more = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *console) shown() (text string, more <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.text, c.mu.more
}

// patience is far longer than anything takes, even on a machine that is busy with other tests.
const patience = 2 * time.Minute

// wait returns when text is shown after what was waited for before, with what came until then.
func (c *console) wait(text string) string {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		shown, more := c.shown()
		if at := strings.Index(shown[c.seen:], text); at >= 0 {
			before := shown[c.seen : c.seen+at]
			c.seen += at + len(text)
			return before
		}
		select {
		case <-more:
		case <-timeout:
			c.t.Fatalf("%q does not come; the screen is %q", text, shown)
		}
	}
}

func (c *console) press(keys string) {
	c.t.Helper()
	if _, err := c.screen.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// end waits for the program and checks its exit code.
func (c *console) end(code int) {
	c.t.Helper()
	select {
	case err := <-c.ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == code || err == nil && code == 0 {
			return
		}
		shown, _ := c.shown()
		c.t.Errorf("the program ended with %v, want code %d; the screen is %q", err, code, shown)
	case <-time.After(patience):
		c.t.Error("the program does not end")
	}
}

const (
	arrowUp = "\x1b[A"
	keyC    = "\x03" // with Ctrl
	keyD    = "\x04"
)

// prompt is how the line editor begins a line, in colour.
const prompt = "\x1b[34m> \x1b[0m"

func TestChatInATerminal(t *testing.T) {
	t.Parallel()
	c := newConsole(t, nil, "chat")
	if welcome := c.wait(prompt); !strings.Contains(welcome, "\x1b[1mweir-mini\x1b[0m") || !strings.Contains(welcome, "/help") {
		t.Errorf("the welcome is %q", welcome)
	}
	answerTo := func(keys, echo string) string {
		t.Helper()
		c.press(keys)
		c.wait(echo + "\r\n")
		return strings.TrimSpace(c.wait(prompt))
	}
	first := answerTo("What is 17 + 25?\r", "What is 17 + 25?")
	if first == "" || strings.Contains(first, "\x1b") {
		t.Errorf("the answer is %q", first)
	}
	if again := answerTo("/new\r", "/new"); !strings.Contains(again, "a new conversation") {
		t.Errorf("/new says %q", again)
	}
	// Twice up is the question before the command; without the conversation it gets the same answer.
	if again := answerTo(arrowUp+arrowUp+"\r", ""); !strings.HasSuffix(again, first) {
		t.Errorf("asked again by arrow-up: %q, before %q", again, first)
	}
	if history := answerTo("/history\r", "/history"); !strings.Contains(history, "user:\x1b[0m What is 17 + 25?\r\n") || !strings.Contains(history, first) {
		t.Errorf("/history says %q", history)
	}
	answerTo("/undo\r", "/undo")
	if history := answerTo("/history\r", "/history"); history != "" {
		t.Errorf("after /undo there is %q", history)
	}
	if help := answerTo("/wat\r", "/wat"); !strings.Contains(help, "/wat is not a command") || !strings.Contains(help, "/undo") {
		t.Errorf("/wat says %q", help)
	}
	// Ctrl-C throws a line away and says how to end; nothing of the line is left for the next.
	c.press("half a question")
	c.wait("half a question")
	c.press(keyC)
	c.wait("Ctrl-D or /exit ends")
	c.wait(prompt)
	if history := answerTo("/history\r", "/history"); history != "" {
		t.Errorf("the line thrown away left %q", history)
	}
	c.press(keyD)
	c.end(0)
}

func TestChatCtrlCStopsTheAnswerOnly(t *testing.T) {
	t.Parallel()
	// Random weights on plain Go kernels write 8,000 tokens for seconds.
	c := newConsole(t, []string{"WEIR_KERNELS=go"}, "chat", "-m", "slow="+tiny(t), "--threads", "1")
	c.wait(prompt)
	c.press("go on\r")
	c.wait("go on\r\n")
	c.wait("    ") // the answer: its likeliest token is a space
	c.press(keyC)
	c.wait("(stopped)")
	c.wait(prompt)
	c.press("/history\r")
	c.wait("assistant:")
	c.wait(prompt)
	c.press("/exit\r")
	c.end(0)
}

func TestRunCtrlCEndsTheProgram(t *testing.T) {
	t.Parallel()
	c := newConsole(t, []string{"WEIR_KERNELS=go"}, "run", "-m", "slow="+tiny(t), "--threads", "1", "go on")
	c.wait("    ")
	c.press(keyC)
	c.end(exitInterrupted)
}

// TestRunKeepsControlCharactersFromATerminal draws from random weights, whose vocabulary has all bytes.
func TestRunKeepsControlCharactersFromATerminal(t *testing.T) {
	t.Parallel()
	args := []string{"run", "-m", tiny(t), "--temperature", "2", "--seed", "1", "--max-tokens", "300", "hi"}
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\r' && r != '\n' && r != '\t' }
	piped := weir(t, "", args...).ok(t)
	if !strings.ContainsFunc(piped, control) {
		t.Fatalf("the answer has no control characters, and this test shows nothing: %q", piped)
	}
	c := newConsole(t, nil, args...)
	c.end(0)
	want := strings.Map(func(r rune) rune {
		if control(r) || r == '\r' {
			return -1
		}
		return r
	}, piped)
	c.wait(strings.ReplaceAll(want, "\n", "\r\n"))
	if shown, _ := c.shown(); strings.ContainsFunc(shown, control) {
		t.Errorf("the terminal shows %q", shown)
	}
	c = newConsole(t, nil, "chat", "-m", "my="+args[2], "--temperature", "2", "--seed", "1", "--max-tokens", "300")
	c.wait(prompt)
	c.press("hi\r")
	c.wait(prompt)
	c.press("/history\r")
	c.wait("assistant:\x1b[0m")
	if history := strings.TrimSuffix(c.wait(prompt), "\x1b[?2004h"); strings.ContainsFunc(history, control) {
		t.Errorf("/history shows %q", history)
	}
	c.press(keyD)
	c.end(0)
}

func TestRunAsksForAPromptOnATerminal(t *testing.T) {
	t.Parallel()
	c := newConsole(t, nil, "run")
	c.wait("no prompt: give one as arguments")
	c.end(exitUsage)
}

func TestColoursFollowTheTerminalAndNoColor(t *testing.T) {
	t.Parallel()
	c := newConsole(t, nil, "key", "new")
	if text := c.wait("keys:"); !strings.Contains(text, "\x1b[1msk-weir-") {
		t.Errorf("a terminal gets no colours: %q", text)
	}
	c.end(0)
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		c = newConsole(t, []string{env}, "key", "new")
		if text := c.wait("keys:"); strings.Contains(text, "\x1b") {
			t.Errorf("with %s a terminal gets colours: %q", env, text)
		}
		c.end(0)
	}
}

// TestProgressShowsOnATerminal watches a run of seconds; the files and pipes of other tests show none.
func TestProgressShowsOnATerminal(t *testing.T) {
	t.Parallel()
	c := newConsole(t, []string{"WEIR_KERNELS=go"}, "bench", "tiny", "--threads", "1", "--repeat", "100", "--generate", "100")
	c.wait("/500") // steps done of all
	c.press(keyC)
	c.end(exitInterrupted)
}

// TestServeShowsItsStartOnATerminal holds a start up until it shows what it does, and then lets it end.
func TestServeShowsItsStartOnATerminal(t *testing.T) {
	t.Parallel()
	args, certificate := endlessStart(t)
	c := newConsole(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	c.wait(`msg="model loaded" model=weir-mini`)
	if shown, _ := c.shown(); strings.Contains(shown, `msg="loading model"`) {
		t.Errorf("the terminal shows what the bar says: %q", shown)
	}
	c.wait("loading weir-mini")
	issueTLS(t, certificate)
	before := c.wait("msg=listening")
	if line := before[strings.LastIndexAny(before, "\r\n")+1:]; !strings.HasPrefix(line, "time=") {
		t.Errorf("the log's line begins with %q", line)
	}
	c.wait("is ready after ")
	c.press(keyC)
	c.wait("stopping")
	c.end(0)

	c = newConsole(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	c.wait("model=weir-mini")
	c.press(keyC)
	c.wait("stopped before it was ready")
	c.end(exitInterrupted)
}

// issueTLS writes a certificate to a pipe that is being read, after its key to the file beside it.
func issueTLS(t *testing.T, certificate string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, der []byte) {
		t.Helper()
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.TrimSuffix(certificate, "cert.pem")+"key.pem", "PRIVATE KEY", key)
	write(certificate, "CERTIFICATE", cert)
}

func TestTrainCtrlCSavesACheckpoint(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("training takes seconds")
	}
	dir := t.TempDir()
	c := newConsole(t, nil, "train", "mini", "--steps", "100000", "--out", dir+"/my.gguf")
	c.wait("loss ")
	c.press(keyC)
	c.wait("stopped after step ")
	c.wait("my.gguf.checkpoints, and the same command goes on from there")
	c.end(exitInterrupted)
	if _, err := os.Stat(dir + "/my.gguf"); err == nil {
		t.Error("a model was written")
	}
	c = newConsole(t, nil, "train", "mini", "--steps", "100000", "--out", dir+"/my.gguf")
	c.wait("going on from step ")
	c.wait("loss ")
	c.press(keyC)
	c.wait("stopped after step ")
	c.end(exitInterrupted)
}
