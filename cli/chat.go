package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/mini"
)

type chatCommand struct {
	modelFlags
	samplingFlags
}

// Help teaches by example.
func (chatCommand) Help() string {
	return `Examples:

  weir chat
  weir chat --model my=model.gguf --temperature 0.7 --system "You are brief."

Arrow keys bring back what you typed before. Ctrl-C stops an answer and keeps the conversation; Ctrl-D ends it. /help lists the rest.`
}

const chatHelp = `  /help      this list
  /new       forget the conversation
  /undo      forget the last question and its answer
  /history   show the conversation
  /exit      end (or Ctrl-D)
  Ctrl-C stops an answer.`

// conversation is a chat in progress.
type conversation struct {
	call     *call
	paint    paint
	runner   llm.Runner
	model    llm.ModelID
	flags    samplingFlags
	messages []llm.Message
	tries    []string // questions to begin with; of the built-in models alone
}

// examples are the questions to begin with, one a line.
func (t *conversation) examples() string {
	var b strings.Builder
	for _, try := range t.tries {
		fmt.Fprintf(&b, "  %s\n", t.paint.blue(try))
	}
	return b.String()
}

// Run talks until the user ends it.
func (c chatCommand) Run(call *call) error {
	system, cfg, err := inProcess(call, c.modelFlags)
	if err != nil {
		return err
	}
	defer system.Stop()
	model, err := onlyModel(system)
	if err != nil {
		return err
	}
	if !system.Models()[0].About.Chat {
		return usageError{fmt.Errorf("model %q has no chat template, so there is no talking with it; `weir run` has it continue a text", model)}
	}
	t := &conversation{call: call, paint: paintFor(call.Out), runner: system.Runner(), model: model, flags: c.samplingFlags}
	about := system.Models()[0].About
	fmt.Fprintf(call.Out, "%s  %s\n", t.paint.bold(string(model)), t.paint.faint(aboutLine(about)))
	if spec := cfg.Models[string(model)]; spec.File == "" {
		t.tries = mini.Tries()
		fmt.Fprintf(call.Out, "%s\n", mini.Welcome)
		fmt.Fprint(call.Out, t.examples())
	}
	fmt.Fprintf(call.Out, "%s\n\n", t.paint.faint("/help lists the commands; Ctrl-D ends."))
	read := lineReader(call, t.paint.blue("> "))
	for {
		line, err := read()
		switch {
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(call.Out, t.paint.faint("(Ctrl-D or /exit ends)"))
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(call.Out)
			return nil
		case err != nil:
			return err
		}
		if end, err := t.turn(strings.TrimSpace(line)); end || err != nil {
			return err
		}
	}
}

// turn does what one line says.
func (t *conversation) turn(line string) (end bool, err error) {
	switch {
	case line == "":
	case line == "/exit" || line == "/quit":
		return true, nil
	case line == "/help":
		fmt.Fprintln(t.call.Out, chatHelp)
		if t.tries != nil {
			fmt.Fprintf(t.call.Out, "%s\n%s", mini.Welcome, t.examples())
		}
	case line == "/new":
		t.messages = nil
		fmt.Fprintln(t.call.Out, t.paint.faint("a new conversation"))
	case line == "/undo":
		t.messages = t.messages[:max(0, len(t.messages)-2)]
	case line == "/history":
		for _, m := range t.messages {
			fmt.Fprint(t.call.Out, t.paint.faint(string(m.Role)+":"), " ")
			fmt.Fprintln(screen{t.call.Out}, m.Text())
		}
	case strings.HasPrefix(line, "/"):
		fmt.Fprintf(t.call.Out, "%s is not a command\n%s\n", strings.Fields(line)[0], chatHelp)
	default:
		return false, t.ask(line)
	}
	return false, nil
}

// ask streams one answer. An answer that was stopped stays in the conversation as far as it came; one that failed leaves no trace.
func (t *conversation) ask(line string) error {
	ctx, stop := untilSignal()
	defer stop()
	messages := append(t.messages, llm.TextMessage(llm.RoleUser, line))
	var text strings.Builder
	_, reason, err := stream(ctx, t.runner, t.flags.request(t.model, messages), io.MultiWriter(screen{t.call.Out}, &text))
	fmt.Fprintln(t.call.Out)
	var known *llm.Error
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(t.call.Out, t.paint.faint("(stopped)"))
	case errors.As(err, &known):
		fmt.Fprintln(t.call.Out, t.paint.red(known.Public()))
		if known.Kind == llm.TooLong {
			fmt.Fprintln(t.call.Out, t.paint.faint("/new begins a new conversation"))
		}
		return nil
	case err != nil:
		return err
	case reason == llm.FinishLength:
		fmt.Fprintln(t.call.Out, t.paint.faint("(cut at the length limit)"))
	}
	if text.Len() > 0 { // stopped before its first word, it leaves no trace either
		t.messages = append(messages, llm.TextMessage(llm.RoleAssistant, text.String()))
	}
	return nil
}

// screen keeps a model's text from moving the cursor, changing colours or typing into the terminal: of the control characters only
// line breaks and tabs come through.
type screen struct{ io.Writer }

func (s screen) Write(b []byte) (int, error) {
	kept := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(b))
	if _, err := io.WriteString(s.Writer, kept); err != nil {
		return 0, err
	}
	return len(b), nil
}

// shown is f for a model's text: a person's terminal is kept from it, a file or a pipe gets every byte.
func shown(f *os.File) io.Writer {
	if isTerminal(f) {
		return screen{f}
	}
	return f
}

// lineReader reads lines: with editing and history where a person types, plainly where a pipe does.
func lineReader(call *call, prompt string) (read func() (string, error)) {
	if !isTerminal(call.In) || !isTerminal(call.Out) {
		return plainLines(call.In)
	}
	keys := &keyboard{in: call.In}
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, call.Out}, prompt)
	editor.History = &recall{History: editor.History}
	return func() (string, error) {
		// Raw only while a line is typed: at all other times Ctrl-C must reach us as a signal.
		state, err := term.MakeRaw(int(call.In.Fd()))
		if err != nil {
			return "", fmt.Errorf("cannot read from the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(call.In.Fd()), state) }()
		if w, h, err := term.GetSize(int(call.Out.Fd())); err == nil {
			_ = editor.SetSize(w, h)
		}
		line, err := editor.ReadLine()
		if keys.interrupted {
			keys.interrupted = false
			return "", errInterrupted
		}
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		return line, err
	}
}

func plainLines(in io.Reader) (read func() (string, error)) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, promptMax)
	return func() (string, error) {
		if lines.Scan() {
			return lines.Text(), nil
		}
		if err := lines.Err(); err != nil {
			return "", fmt.Errorf("cannot read a line: %w", err)
		}
		return "", io.EOF
	}
}

// keyboard turns Ctrl-C into the keys that throw the line away and end it. The line editor itself would report it as it does
// Ctrl-D, and keep what was typed for the next line.
type keyboard struct {
	in          *os.File
	held        []byte // read, and not given yet
	interrupted bool   // the line being read was thrown away
}

const (
	ctrlC    = 3
	dropLine = "\x05\x15\r" // to the end of the line, delete all before, enter
)

func (k *keyboard) Read(b []byte) (int, error) {
	if len(k.held) == 0 {
		var buf [256]byte
		n, err := k.in.Read(buf[:])
		if err != nil {
			return 0, err
		}
		k.held = append(k.held, buf[:n]...)
	}
	if k.held[0] == ctrlC && len(b) >= len(dropLine) {
		k.held = k.held[1:]
		k.interrupted = true
		return copy(b, dropLine), nil
	}
	// What was typed before a Ctrl-C goes first: it may end a line of its own.
	until := len(k.held)
	if at := bytes.IndexByte(k.held[1:], ctrlC); at >= 0 {
		until = at + 1
	}
	n := copy(b, k.held[:until])
	k.held = k.held[n:]
	return n, nil
}

// recall is the history without empty lines and repetitions.
type recall struct{ term.History }

func (r *recall) Add(line string) {
	if strings.TrimSpace(line) == "" || r.Len() > 0 && r.At(0) == line {
		return
	}
	r.History.Add(line)
}
