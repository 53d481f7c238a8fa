package mini

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a file of conversations. Beyond each there is an error that says so.
const (
	// ownBytesMax: about 100 million tokens, three times what the longest preset reads in its whole run. More would only be
	// read, kept in memory and never seen.
	ownBytesMax = 256 << 20

	// ownLineMax: a context of 512 tokens holds a few thousand bytes, so a line of a mebibyte is cut to a small part
	// already. A larger bound would let a file without line ends fill the memory before it is refused.
	ownLineMax = 1 << 20

	// ownConversationsMax: 24,000 steps of 32 see 768,000. The rest of more than a million could not be seen once.
	ownConversationsMax = 1_000_000

	// ownFaultsMax is how many faults are told at once: enough to see whether a generator has one mistake or several, few enough
	// for one screen.
	ownFaultsMax = 10
)

// ownBounds are the bounds of one reading; tests choose smaller ones.
type ownBounds struct {
	bytes         int64
	line          int // bytes without the line's end
	conversations int
}

// ReadConversations reads what a generator printed: JSONL in UTF-8, one conversation a line in OpenAI's format for fine-tuning
// (https://platform.openai.com/docs/guides/supervised-fine-tuning), such as
//
//	{"messages": [{"role": "user", "content": "ping 7"}, {"role": "assistant", "content": "pong 7"}]}
//
// A system or developer message may stand first; then user and assistant take turns, and the assistant has the last word. content
// is a text or a list of text parts, of which the spaces around are dropped, as the chat template drops them. "weight": 0 at an
// assistant's message keeps it as context and out of the loss. Other fields are ignored, and so are empty lines.
//
// The error tells up to ten faults, each with name, the line, the field, the value and the fix. Files are bounded: 256 MiB,
// 1 MiB a line, a million conversations. An error of r comes back wrapped.
func ReadConversations(r io.Reader, name string) (*Conversations, error) {
	return readConversations(r, name, ownBounds{bytes: ownBytesMax, line: ownLineMax, conversations: ownConversationsMax})
}

func readConversations(r io.Reader, name string, most ownBounds) (*Conversations, error) {
	sum := sha256.New()
	in := &ownLines{in: bufio.NewReaderSize(io.TeeReader(r, sum), most.line+1), most: most, faults: &ownFaults{name: name}}
	c := &Conversations{name: name}
	for !in.faults.full() {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: reading failed: %w", name, in.line, err)
		}
		if in.line == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\ufeff")) // some programs on Windows put this mark before UTF-8
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		if len(c.list) == most.conversations {
			in.fault("it is conversation %d; at most %d are taken, so print fewer", len(c.list)+1, most.conversations)
			break
		}
		// A faulty line is kept, too: it counts, and nothing comes of the list when there is a fault.
		c.list = append(c.list, in.talk(raw))
	}
	if err := in.faults.err(); err != nil {
		return nil, err
	}
	if len(c.list) == 0 {
		return nil, fmt.Errorf(`%s holds no conversation; print one a line, as {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}`, name)
	}
	c.hash = hex.EncodeToString(sum.Sum(nil))
	return c, nil
}

// ownFaults collects what is wrong with a file.
type ownFaults struct {
	name string
	list []error
}

func (f *ownFaults) full() bool { return len(f.list) >= ownFaultsMax }

// add notes a fault of a line, unless enough are known.
func (f *ownFaults) add(line int, format string, args ...any) {
	if !f.full() {
		f.list = append(f.list, fmt.Errorf("%s, line %d: %w", f.name, line, fmt.Errorf(format, args...)))
	}
}

// err is nil without a fault.
func (f *ownFaults) err() error {
	if f.full() {
		return errors.Join(append(slices.Clone(f.list), fmt.Errorf("these are the first %d faults; there may be more", ownFaultsMax))...)
	}
	return errors.Join(f.list...)
}

// ownLines reads a file line by line and knows where it is.
type ownLines struct {
	in     *bufio.Reader // its buffer holds the longest line and its end
	most   ownBounds
	read   int64 // bytes
	line   int   // the present one, from 1
	faults *ownFaults
}

func (l *ownLines) fault(format string, args ...any) { l.faults.add(l.line, format, args...) }

// next gives the next line, valid until the next call, or io.EOF. In place of a line that is too long it notes a fault and gives
// an empty one; after the bound of the whole it notes a fault and gives io.EOF.
func (l *ownLines) next() ([]byte, error) {
	l.line++
	for long := false; ; {
		raw, err := l.in.ReadSlice('\n')
		if l.read += int64(len(raw)); l.read > l.most.bytes {
			l.fault("here the file passes %d bytes, which is the most that is taken; print fewer conversations", l.most.bytes)
			return nil, io.EOF
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if !long {
				l.fault("it has more than %d bytes; print one conversation a line, and a shorter one here", l.most.line)
			}
			long = true
		case err != nil && (!errors.Is(err, io.EOF) || len(raw) == 0):
			return nil, err
		case long:
			return nil, nil
		default:
			return raw, nil
		}
	}
}

// talk reads the conversation of a line and notes what is wrong with it.
func (l *ownLines) talk(raw []byte) talk {
	const example = `print one whole conversation a line, as {"messages": [...]}`
	if !utf8.Valid(raw) {
		l.fault("it is not UTF-8; print UTF-8 (the > of an older PowerShell writes UTF-16)")
		return talk{}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		l.fault("%s is not a JSON object (%w); %s", clipped(raw), err, example)
		return talk{}
	}
	list, ok := fields["messages"]
	if !ok {
		l.fault("messages is missing in %s; %s", clipped(raw), example)
		return talk{}
	}
	var items []json.RawMessage
	if err := json.Unmarshal(list, &items); err != nil || len(items) == 0 {
		l.fault("messages is %s; make it a list of messages, of a user's and an assistant's at least", clipped(list))
		return talk{}
	}
	messages := make([]ownMessage, len(items))
	before := len(l.faults.list)
	for i, item := range items {
		messages[i] = l.message(fmt.Sprintf("messages[%d]", i), item)
	}
	if len(l.faults.list) > before || l.faults.full() {
		return talk{} // the order of messages that are not understood says nothing
	}
	return l.ordered(messages)
}

// ownMessage is one message as it is read.
type ownMessage struct {
	role, text string
	silent     bool // an assistant's message that the loss does not count
}

const (
	roleSystem    = "system"
	roleDeveloper = "developer" // the same under a newer name
	roleUser      = "user"
	roleAssistant = "assistant"
)

func (l *ownLines) message(at string, raw json.RawMessage) ownMessage {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		l.fault(`%s is %s; make it an object, as {"role": "user", "content": "..."}`, at, clipped(raw))
		return ownMessage{}
	}
	var m ownMessage
	switch role, _ := textOf(fields["role"]); role {
	case roleSystem, roleDeveloper:
		m.role = roleSystem
	case roleUser, roleAssistant:
		m.role = role
	default:
		l.fault("%s.role is %s; it is one of system, developer, user and assistant", at, clipped(fields["role"]))
	}
	m.text = l.content(at+".content", fields["content"])
	if weight, ok := fields["weight"]; ok && m.role == roleAssistant {
		m.silent = l.silent(at+".weight", weight)
	}
	return m
}

// silent tells whether a weight keeps its message out of the loss. Weights between would be ignored in silence, so they are
// refused.
func (l *ownLines) silent(at string, raw json.RawMessage) bool {
	weight := 1.0 // what null leaves
	if err := json.Unmarshal(raw, &weight); err != nil || weight != 0 && weight != 1 {
		l.fault("%s is %s; it is 0 (not counted in the loss) or 1", at, clipped(raw))
	}
	return weight == 0
}

// content gives the text of a message as the chat template writes it: without the spaces around, and those of a list joined.
func (l *ownLines) content(at string, raw json.RawMessage) string {
	text, ok := textOf(raw)
	if !ok {
		var parts []json.RawMessage
		if err := json.Unmarshal(raw, &parts); err != nil || parts == nil {
			l.fault("%s is %s; make it a text or a list of text parts", at, clipped(raw))
			return ""
		}
		for i, part := range parts {
			var fields map[string]json.RawMessage
			err := json.Unmarshal(part, &fields)
			kind, _ := textOf(fields["type"])
			more, ok := textOf(fields["text"])
			if err != nil || kind != "text" || !ok {
				l.fault(`%s[%d] is %s; only text can be learnt here, as {"type": "text", "text": "..."}`, at, i, clipped(part))
				return ""
			}
			text += trimmed(more)
		}
	}
	text = trimmed(text)
	if text == "" {
		l.fault("%s is %s, which says nothing; write a text or leave the message out", at, clipped(raw))
	}
	for _, mark := range specials() {
		if strings.Contains(text, mark) { // a served prompt would take it for the mark, whatever training saw
			l.fault("%s holds %s, a mark of the chat template; write it in another way", at, mark)
		}
	}
	return text
}

// ordered makes a conversation of messages that are right one by one: it checks whose turn it is.
func (l *ownLines) ordered(messages []ownMessage) talk {
	t := talk{line: l.line}
	first := 0
	if messages[0].role == roleSystem {
		t.system, first = messages[0].text, 1
	}
	counted := false
	for i, m := range messages[first:] {
		at, want := first+i, roleUser
		if i%2 == 1 {
			want = roleAssistant
		}
		switch {
		case m.role == want:
		case m.role == roleSystem:
			l.fault("messages[%d].role is system or developer, which may only stand first; join it with the first or leave it out", at)
			return talk{}
		case i == 0:
			l.fault("messages[%d].role is %s; a conversation begins with a user's message, after the system's if there is one", at, m.role)
			return talk{}
		default:
			l.fault("messages[%d].role is %s, as that of the message before; user and assistant take turns, so join the two or leave one out", at, m.role)
			return talk{}
		}
		if m.role == roleUser {
			t.turns = append(t.turns, turn{user: m.text})
			continue
		}
		last := &t.turns[len(t.turns)-1]
		last.assistant, last.counts = m.text, !m.silent
		counted = counted || last.counts
	}
	if last := len(messages) - 1; messages[last].role != roleAssistant {
		l.fault("messages[%d].role is %s and it is the last; end with an assistant's message, which is what the model learns to say", last, messages[last].role)
	} else if !counted {
		l.fault("messages has only assistant messages of weight 0; give one the weight 1 or leave the conversation out")
	}
	return t
}

// textOf gives a JSON text; ok is false for anything else, also for what is not there.
func textOf(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return text, json.Unmarshal(raw, &text) == nil
}

// trimmed drops the spaces around a text that the trim of chat templates drops: Python's, which are Unicode's and the four
// separators 0x1c to 0x1f.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// clipped shows the beginning of a value in an error: enough to find it in the line, and nothing that a terminal would obey.
func clipped(raw []byte) string {
	const most = 60
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "missing"
	}
	text := strings.ToValidUTF8(string(raw[:min(len(raw), most)]), "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if len(raw) > most {
		text += "..."
	}
	return text
}
