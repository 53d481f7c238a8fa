package gateway

import (
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// What a client may say about when and how its request is answered, in headers: bodies go to engines as they are.
const (
	headerTimeout  = "X-Request-Timeout"     // seconds in which it must have been sent to an engine
	headerClass    = "X-Weir-Class"          // a class no higher than its key's
	headerVariants = "X-Weir-Allow-Variants" // an answer of a lesser variant is better than none
	headerQueue    = "X-Weir-Queue"          // a stream hears where it waits
)

// timeoutMost is the latest start that a client can ask for: SDKs give up after 10 minutes, and nothing that waits for an hour is
// interactive.
const timeoutMost = time.Hour

// admission writes into req what the client's key and headers say of when it should start.
func (x *exchange) admission(req *llm.Request) error {
	req.Class, req.Weight = x.class, x.weight
	h := x.r.Header
	if v := h.Get(headerClass); v != "" {
		asked, err := llm.ParseClass(v)
		if err != nil {
			return llm.InvalidField(headerClass, "%s: %v.", headerClass, err)
		}
		req.Class = req.Class.Lower(asked)
	}
	if v := h.Get(headerTimeout); v != "" {
		seconds, err := strconv.ParseFloat(v, 64)
		if err != nil || !(seconds > 0) || seconds > timeoutMost.Seconds() {
			return llm.InvalidField(headerTimeout, "%s is %.40q; write seconds above 0 and at most %d, such as 2.5.", headerTimeout, v, int(timeoutMost.Seconds()))
		}
		req.StartBy = x.began.Add(time.Duration(seconds * float64(time.Second)))
	}
	x.asked = req.Class
	var err error
	if req.Variants, err = flag(h.Get(headerVariants), headerVariants); err != nil {
		return err
	}
	req.Queue, err = flag(h.Get(headerQueue), headerQueue)
	return err
}

// flag reads a header that is true or false.
func flag(v, name string) (bool, error) {
	switch v {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	}
	return false, llm.InvalidField(name, "%s is %.40q; write true or false.", name, v)
}

// allowance tells what the tenant's limits leave, in OpenAI's headers.
func (x *exchange) allowance(a *llm.Allowance) {
	if a != nil {
		tenant.Headers(a, x.header)
	}
}

// queued tells a stream where it waits, in a comment: clients pass over those, and whoever wants to know reads them. With the first the
// head goes out, so that from then on an error comes inside the stream.
func (x *exchange) queued(q *llm.Queue, buf []byte) error {
	x.waited = true
	buf = append(buf, ": queued position="...)
	buf = strconv.AppendInt(buf, int64(q.Position), 10)
	buf = append(buf, " wait="...)
	buf = strconv.AppendFloat(buf, q.Wait.Seconds(), 'f', 1, 64)
	return x.push(append(buf, "s\n\n"...), false)
}

// tellPlace tells in a comment what headers would have, where the head went out while the request waited.
func (x *exchange) tellPlace(p *llm.Place, buf []byte) error {
	if !x.waited {
		return nil
	}
	x.waited = false
	buf = append(buf, ": placed model="...)
	buf = append(buf, p.Model...)
	buf = append(buf, " endpoint="...)
	buf = append(buf, p.Endpoint...)
	if p.Variant != "" {
		buf = append(buf, " variant="...)
		buf = append(buf, p.Variant...)
	}
	if len(p.Degraded) > 0 {
		buf = append(buf, " degraded="...)
		buf = append(buf, strings.Join(p.Degraded, ",")...)
	}
	return x.push(append(buf, "\n\n"...), false)
}
