package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// What stands around the time of sending in a chunk.
const (
	chunkHead = `data: {"id":"chatcmpl-mock0000000000000001","object":"chat.completion.chunk","created":1700000000,"model":"mock-model",` +
		`"choices":[{"index":0,"delta":{"content":"t=`
	chunkTail = ` "},"finish_reason":null}]}` + "\n\n"
	lastChunk = `data: {"id":"chatcmpl-mock0000000000000001","object":"chat.completion.chunk","created":1700000000,"model":"mock-model",` +
		`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":32,"completion_tokens":%d,"total_tokens":%d}}` +
		"\n\ndata: [DONE]\n\n"
)

// stream sends the chunks by a schedule that is fixed at the start: a chunk that goes out late does not move the later ones, so that
// a slow reader shows as latency and not as a lower rate of arrivals.
func (u *upstream) stream(w http.ResponseWriter, r *http.Request, c *scene) {
	u.streams.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flusher := w.(http.Flusher)
	cutAt := -1
	if c.PCut > 0 && rand.Float64() < c.PCut {
		cutAt = c.Chunks / 2
	}
	chunk := make([]byte, 0, 512)
	var p pause
	defer p.end()
	next := time.Now()
	for i := range c.Chunks {
		if i > 0 && c.Interval > 0 {
			next = next.Add(c.Interval)
			if !p.last(u, r, time.Until(next)) {
				return
			}
		}
		if i == cutAt {
			panic(http.ErrAbortHandler)
		}
		chunk = append(chunk[:0], chunkHead...)
		chunk = strconv.AppendInt(chunk, time.Now().UnixNano(), 10)
		chunk = append(chunk, chunkTail...)
		if _, err := w.Write(chunk); err != nil {
			u.canceled.Add(1)
			return
		}
		flusher.Flush()
	}
	_, _ = fmt.Fprintf(w, lastChunk, c.Chunks, 32+c.Chunks)
	flusher.Flush()
	u.served.Add(1)
}
