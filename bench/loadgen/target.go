package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// mark is where a request's nonce stands in the prompt: twelve digits, enough for any run.
const mark = "000000000000"

// target is where requests go and what they are. It never changes but for the nonce.
type target struct {
	addr    string
	request []byte // head and body
	nonceAt int    // offset of the nonce in request; 0 when every body is the same
	nonce   atomic.Uint64
}

func newTarget(o options) (*target, error) {
	body, err := body(o)
	if err != nil {
		return nil, err
	}
	extra := ""
	for line := range strings.SplitSeq(o.header, ";") {
		if line = strings.TrimSpace(line); line != "" {
			extra += line + "\r\n"
		}
	}
	t := &target{addr: o.addr, request: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer %s\r\nUser-Agent: loadgen\r\n%sContent-Length: %d\r\n\r\n%s", o.path, o.addr, o.key, extra, len(body), body)}
	if i := bytes.Index(t.request, []byte(mark)); i > 0 && !o.same {
		t.nonceAt = i
	}
	return t, nil
}

// body is a chat completion request with a prompt of the given number of words, or what the file holds.
func body(o options) ([]byte, error) {
	if o.bodyFile != "" {
		return os.ReadFile(o.bodyFile)
	}
	words := make([]string, o.promptWords)
	for i := range words {
		words[i] = "word" + strconv.Itoa(i)
	}
	if !o.same && len(words) > 0 {
		words[0] = mark
	}
	fields := map[string]any{"model": o.model, "max_tokens": 200, "temperature": 0.7,
		"messages": []any{map[string]string{"role": "system", "content": "You are a helpful assistant."},
			map[string]string{"role": "user", "content": strings.Join(words, " ")}}}
	if o.streaming() {
		fields["stream"] = true
	}
	return json.Marshal(fields)
}

// next writes the nonce of the next request into a copy of it.
func (t *target) next(request []byte) {
	n := t.nonce.Add(1)
	for i := t.nonceAt + len(mark) - 1; i >= t.nonceAt; i-- {
		request[i] = byte('0' + n%10)
		n /= 10
	}
}
