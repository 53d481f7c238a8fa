package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// buffers are what a request works in: its answer as it comes and as it goes on.
type buffers struct {
	in, out []byte
}

var bufferPool = sync.Pool{New: func() any { return &buffers{in: make([]byte, 0, bufferStart), out: make([]byte, 0, bufferStart)} }}

const (
	// bufferStart holds some events, or a short answer.
	bufferStart = 4 << 10
	// bufferKept is the largest buffer that goes back into the pool: a few long answers must not make every stream's buffer long.
	bufferKept = 64 << 10
	// frameMax bounds one event of a stream: the log-probabilities of twenty alternatives to some tokens are 10 KB, a tool call that
	// comes at once some 100.
	frameMax = 4 << 20
	// answerMax bounds an answer in one piece: a million tokens with their log-probabilities do not come in one.
	answerMax = 64 << 20
)

func (b *buffers) free() {
	if cap(b.in) > bufferKept {
		b.in = make([]byte, 0, bufferStart)
	}
	if cap(b.out) > bufferKept {
		b.out = make([]byte, 0, bufferStart)
	}
	b.in, b.out = b.in[:0], b.out[:0]
	bufferPool.Put(b)
}

// errFrameTooLong tells of an event beyond frameMax.
var errFrameTooLong = errors.New("an event is too long")

// lines reads a stream line by line. A line is valid until the next is read.
type lines struct {
	r    io.Reader
	buf  []byte // read and not yet told: buf[at:]
	at   int
	seen int // bytes of buf[at:] that hold no line break
}

// next gives a line without its break; io.EOF comes only between lines, and io.ErrUnexpectedEOF in the middle of one.
func (l *lines) next() ([]byte, error) {
	for {
		if n := bytes.IndexByte(l.buf[l.at+l.seen:], '\n'); n >= 0 {
			line := l.buf[l.at : l.at+l.seen+n]
			l.at, l.seen = l.at+l.seen+n+1, 0
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		l.seen = len(l.buf) - l.at
		if l.seen > frameMax {
			return nil, errFrameTooLong
		}
		if l.at > 0 {
			l.buf = l.buf[:copy(l.buf, l.buf[l.at:])]
			l.at = 0
		}
		if len(l.buf) == cap(l.buf) {
			l.buf = append(make([]byte, 0, 2*cap(l.buf)), l.buf...)
		}
		n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		if n == 0 && err != nil {
			if err == io.EOF && l.seen > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// more reports whether another whole event has come already. A comment is none: what is held back for it might wait for long.
func (l *lines) more() bool {
	rest := bytes.TrimLeft(l.buf[l.at:], "\r\n")
	return bytes.HasPrefix(rest, dataField) && bytes.IndexByte(rest, '\n') > 0
}

var dataField = []byte("data:")

// stream passes on the events of a stream until its end.
func (x *exchange) stream(body io.Reader) error {
	b := bufferPool.Get().(*buffers)
	l := lines{r: body, buf: b.in}
	defer func() { b.in = l.buf; b.free() }()
	for {
		line, err := l.next()
		if err != nil {
			return x.cut(err)
		}
		data, ok := bytes.CutPrefix(line, dataField)
		if !ok {
			continue // a comment, another field, or the empty line behind an event
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			return x.drain(&l)
		}
		if err := x.event(data, b, l.more()); err != nil {
			return err
		}
	}
}

// cut names a stream that ended without saying so. Some servers leave [DONE] out: what has finished is complete.
func (x *exchange) cut(err error) error {
	switch {
	case err == io.EOF && x.ends >= x.req.Choices():
		return nil
	case errors.Is(err, errFrameTooLong):
		return x.malformed(fmt.Sprintf("an event of more than %d bytes", frameMax))
	}
	return &llm.Error{Op: "endpoint " + string(x.e.name), Kind: llm.Upstream, Fault: llm.FaultCut, Err: err,
		Message: fmt.Sprintf("The endpoint %s broke off in the middle of its answer.", x.e.name)}
}

// drain reads what follows the last event, so that the connection serves the next request.
func (x *exchange) drain(l *lines) error {
	x.watch.deadline.Store(time.Now().Add(drainWait).UnixNano())
	x.watch.timer.Reset(drainWait)
	for {
		if _, err := l.next(); err != nil {
			return nil
		}
	}
}

// event passes on one event of a stream.
func (x *exchange) event(data []byte, b *buffers, more bool) error {
	f := &x.frame
	if !f.ReadLike(data) {
		return x.malformed("an event that is no JSON object")
	}
	if f.Error != nil || f.Flat() {
		err := classifyFrame(x.q, data)
		err.Op = "endpoint " + string(x.e.name)
		return err
	}
	if f.Holds&llm.HoldsUsage != 0 {
		x.usage = f.Usage
	}
	if f.Holds&llm.HoldsFinish != 0 {
		x.ends += f.Choices
	}
	if f.Holds&(llm.HoldsContent|llm.HoldsReasoning|llm.HoldsToolCall) != 0 || x.ends > 0 {
		x.watch.heard()
	}
	if x.decoded {
		return x.tell(data)
	}
	if f.OnlyUsage() && !x.req.Report.Usage && x.q.usage {
		return nil // asked for by Weir alone
	}
	b.out = append(b.out[:0], "data: "...)
	b.out = append(f.Append(b.out, &wire.Rewrite{Model: x.alias, TokenIDs: x.hide}), '\n', '\n')
	return x.pass(b.out, more)
}

// pass emits the frame that was read, as it goes on.
func (x *exchange) pass(out []byte, more bool) error {
	f := &x.frame
	e := llm.Event{Kind: llm.EventFrame, Frame: out, Dialect: llm.DialectOpenAI, Holds: f.Holds, Raw: f.Text, Usage: f.Usage, Finish: llm.Finish{Reason: f.Reason}, More: more}
	if x.req.Trail {
		e.Tokens, e.Prompt = ids(f.IDs), ids(f.PromptIDs)
	}
	return x.emit(e)
}

func ids(list []byte) []llm.TokenLogprob {
	tokens := wire.TokenList(list)
	if len(tokens) == 0 {
		return nil
	}
	out := make([]llm.TokenLogprob, len(tokens))
	for i, id := range tokens {
		out[i].ID = id
	}
	return out
}

// tell decodes a frame for somebody inside Weir.
func (x *exchange) tell(data []byte) error {
	events, err := wire.DecodeFrame(x.req.Task, data)
	if err != nil {
		return x.malformed("a frame that cannot be read: " + err.Error())
	}
	for _, e := range events {
		if err := x.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// whole passes on an answer in one piece.
func (x *exchange) whole(resp *http.Response) error {
	x.watch.heard()
	b := bufferPool.Get().(*buffers)
	defer b.free()
	if n := resp.ContentLength; n > int64(cap(b.in)) && n <= answerMax {
		b.in = make([]byte, 0, n)
	}
	var err error
	if b.in, err = readAll(&heardReader{resp.Body, x.watch}, b.in); err != nil {
		if errors.Is(err, errFrameTooLong) {
			return x.malformed(fmt.Sprintf("more than %d bytes", answerMax))
		}
		return x.cut(io.ErrUnexpectedEOF)
	}
	f := &x.frame
	switch {
	case !f.Read(b.in):
		return x.malformed("something that is no JSON object")
	case f.Error != nil || f.Flat():
		err := classifyFrame(x.q, b.in)
		err.Op = "endpoint " + string(x.e.name)
		return err
	case f.Choices == 0:
		return x.malformed("an answer without choices")
	}
	x.usage = f.Usage
	if x.decoded {
		return x.tell(b.in)
	}
	f.Holds |= llm.HoldsWhole
	b.out = f.Append(b.out[:0], &wire.Rewrite{Model: x.alias, TokenIDs: x.hide})
	return x.pass(b.out, false)
}

// heardReader notes that something came: an answer in one piece may be sent bit by bit while it is made.
type heardReader struct {
	io.Reader
	watch *watch
}

func (r *heardReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.heard()
	}
	return n, err
}

// readAll reads r behind what buf has, at most answerMax bytes.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			if len(buf) > answerMax {
				return buf, errFrameTooLong
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}
