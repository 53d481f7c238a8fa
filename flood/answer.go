package flood

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// answer is what a stream told, without its text.
type answer struct {
	first, last time.Time // content, reasoning or a tool call
	pieces      int       // frames with any of it
	prompt      int       // tokens, by the server's usage; 0: not told
	completion  int
	ended       bool   // a finish reason or [DONE] came
	failure     string // the code of an error inside the stream
}

var (
	lineBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	dataPrefix  = []byte("data:")
)

var errLine = errors.New("a line of a stream that is too long")

// readStream reads server-sent events to the body's end. Frames are looked at and not decoded: at thousands of streams, decoding would
// cost more than all else. heard is called for each frame with content, so that the service of tenants is counted as it is given.
func readStream(r io.Reader, heard func(*answer)) (answer, error) {
	var a answer
	buffer := lineBuffers.Get().(*[bufferSize]byte)
	defer lineBuffers.Put(buffer)
	held, spill := 0, []byte(nil) // bytes of an unfinished line: in buffer, and before them in spill
	for {
		n, err := r.Read(buffer[held:])
		data := buffer[:held+n]
		for {
			end := bytes.IndexByte(data, '\n')
			if end < 0 {
				break
			}
			line := data[:end]
			if len(spill) > 0 {
				spill = append(spill, line...)
				line = spill
			}
			a.line(line, heard)
			spill = spill[:0]
			data = data[end+1:]
		}
		held = copy(buffer[:], data)
		if held == len(buffer) {
			spill = append(spill, buffer[:]...)
			held = 0
			if len(spill) > lineMax {
				return a, errLine
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return a, nil
			}
			return a, err
		}
	}
}

// line takes one line of a stream.
func (a *answer) line(line []byte, heard func(*answer)) {
	data, ok := bytes.CutPrefix(line, dataPrefix)
	if !ok {
		return // an event's name, a comment that keeps the stream alive, or nothing
	}
	data = bytes.TrimSpace(data)
	if bytes.Equal(data, []byte("[DONE]")) {
		a.ended = true
		return
	}
	if hasText(data) {
		a.last = time.Now()
		if a.pieces == 0 {
			a.first = a.last
		}
		a.pieces++
		heard(a)
	}
	if v := valueOf(data, `"finish_reason"`); len(v) > 1 && v[0] == '"' {
		a.ended = true
	}
	if v := valueOf(data, `"completion_tokens"`); len(v) > 0 {
		a.completion = digits(v, a.completion)
		a.prompt = digits(valueOf(data, `"prompt_tokens"`), a.prompt)
	}
	if v := valueOf(data, `"error"`); len(v) > 0 && (v[0] == '{' || v[0] == '"') {
		a.failure = reasonOf(data)
	}
}

// hasText reports whether a frame carries a part of an answer: content, reasoning or a tool call that is not empty.
func hasText(data []byte) bool {
	for _, key := range []string{`"content"`, `"reasoning_content"`, `"reasoning"`, `"text"`} {
		if v := valueOf(data, key); len(v) > 1 && v[0] == '"' && v[1] != '"' {
			return true
		}
	}
	v := valueOf(data, `"tool_calls"`)
	return len(v) > 1 && v[0] == '[' && len(bytes.TrimLeft(v[1:], " ")) > 0 && bytes.TrimLeft(v[1:], " ")[0] != ']'
}

// valueOf is what follows a key and its colon; nil where the key is not there. Inside a JSON string a quote is escaped, so that text
// never looks like a key.
func valueOf(data []byte, key string) []byte {
	for {
		at := bytes.Index(data, []byte(key))
		if at < 0 {
			return nil
		}
		data = data[at+len(key):]
		rest := bytes.TrimLeft(data, " \t")
		if len(rest) > 0 && rest[0] == ':' {
			return bytes.TrimLeft(rest[1:], " \t")
		}
	}
}

func digits(v []byte, otherwise int) int {
	n, any := 0, false
	for _, b := range v {
		if b < '0' || b > '9' || n > 1<<40 {
			break
		}
		n, any = n*10+int(b-'0'), true
	}
	if !any {
		return otherwise
	}
	return n
}

// reasonMax bounds a reason, in bytes; the reasons that are told apart are bounded, too.
const reasonMax = 48

// reasonOf finds an error's code in a body, or its type.
func reasonOf(data []byte) string {
	for _, key := range []string{`"code"`, `"type"`} {
		v := valueOf(data, key)
		if len(v) < 2 {
			continue
		}
		if v[0] == '"' {
			text, _, ok := bytes.Cut(v[1:], []byte(`"`))
			if ok && len(text) > 0 && len(text) <= reasonMax {
				return string(text)
			}
		} else if n := digits(v, 0); n > 0 {
			return "code " + string(bytes.TrimRight(v[:min(len(v), 4)], ",}] "))
		}
	}
	return ""
}
