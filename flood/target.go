package flood

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/workload"
)

// target is the server under test.
type target struct {
	url    *url.URL
	path   string // of chat completions
	pool   pool
	model  string // as JSON
	common string // the lines of each head that never change
	class  string // header names
	tenant string
}

// newTarget reads the address and makes sure that it may be sent to.
func newTarget(ctx context.Context, o *Options) (*target, error) {
	text := o.URL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("flood: URL %q; give an address such as http://127.0.0.1:8080, without a user or a query", o.URL)
	}
	t := &target{url: u, class: o.ClassHeader, tenant: o.TenantHeader}
	switch path := strings.TrimSuffix(u.Path, "/"); {
	case strings.HasSuffix(path, "/chat/completions"):
		t.path = path
	case path == "":
		t.path = "/v1/chat/completions"
	default:
		t.path = path + "/chat/completions"
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ip, err := allowed(ctx, u.Hostname(), o.Own)
	if err != nil {
		return nil, err
	}
	// The address that was checked is the address that is dialled: a name that changes its mind in between changes nothing.
	t.pool.address = net.JoinHostPort(ip, port)
	if u.Scheme == "https" {
		t.pool.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	}
	var b strings.Builder
	fmt.Fprintf(&b, " HTTP/1.1\r\nHost: %s\r\nUser-Agent: weir-flood\r\nContent-Type: application/json\r\nAccept: text/event-stream, application/json\r\n", u.Host)
	for name, value := range o.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	t.common = b.String()
	return t, nil
}

// allowed resolves a host. Beyond this machine only the user's word opens the way: a flood at a stranger's server is an attack.
func allowed(ctx context.Context, host string, own bool) (ip string, err error) {
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return "", fmt.Errorf("flood: the host %q has no address: %w", host, err)
	}
	if len(addresses) == 0 {
		return "", fmt.Errorf("flood: the host %q has no address", host)
	}
	for _, a := range addresses {
		if !own && !a.IP.IsLoopback() {
			return "", fmt.Errorf("flood: %s (%s) is not this machine; a flood at a server that is not yours is an attack. If it is yours, say so: --i-own-this-server", host, a.IP)
		}
		if a.IP.To4() != nil && ip == "" {
			ip = a.IP.String() // servers on both families are rarer than those on the older
		}
	}
	if ip == "" {
		ip = addresses[0].String()
	}
	return ip, nil
}

func (t *target) close() { t.pool.close() }

// calibration is what was learned of the server before the flood.
type calibration struct {
	prompter
	told string // how, for the report
}

// The two prompts that are sent to learn a server's tokens, in words. Their difference is free of what the server puts around each. A
// longer one would tell the tokens of a word to less than the 3 % that this does, and be too long for the smallest models.
const (
	wordsFew      = 30
	wordsMany     = 150
	answerMax     = 1 << 20 // bytes of an answer that is read whole
	learnFor      = time.Minute
	learnTries    = 5
	learnBetween  = time.Second
	perWordLikely = 1.0 // common words in common vocabularies
)

// learn finds the model, where none is named, and the tokens of a word.
func (t *target) learn(ctx context.Context, o *Options) (calibration, error) {
	ctx, stop := context.WithTimeout(ctx, learnFor)
	defer stop()
	model, err := t.find(ctx, o)
	if err != nil {
		return calibration{}, err
	}
	o.Model = model.ID
	name, err := json.Marshal(o.Model)
	if err != nil {
		return calibration{}, fmt.Errorf("flood: Model: %w", err)
	}
	t.model = string(name)
	c, err := t.calibrate(ctx, o)
	if c.context = model.Context; c.context > 0 {
		c.told += fmt.Sprintf("; prompts and answers are cut to the model's context of %d tokens", c.context)
	}
	return c, err
}

// calibrate finds the tokens of a word.
func (t *target) calibrate(ctx context.Context, o *Options) (calibration, error) {
	if o.TokensPerWord > 0 {
		return calibration{prompter{perToken: 1 / o.TokensPerWord, seed: o.Seed}, fmt.Sprintf("%.3g tokens a word, as given", o.TokensPerWord)}, nil
	}
	few, err := t.tokensOf(ctx, o, wordsFew)
	if err != nil {
		return calibration{}, err
	}
	many, err := t.tokensOf(ctx, o, wordsMany)
	if err != nil {
		return calibration{}, err
	}
	perWord := float64(many-few) / (wordsMany - wordsFew)
	if few == 0 || perWord < 0.1 || perWord > 20 { // no usage, or one that was made up
		return calibration{prompter{perToken: 1 / perWordLikely, seed: o.Seed}, "the server tells no plausible usage: one token a word is assumed"}, nil
	}
	overhead := max(0, int(math.Round(float64(few)-wordsFew*perWord)))
	return calibration{prompter{perToken: 1 / perWord, overhead: overhead, seed: o.Seed}, fmt.Sprintf("%.3g tokens a word and %d around a prompt, by the server's usage", perWord, overhead)}, nil
}

// listed is a model as /v1/models lists it. Its context is what vLLM and Weir call max_model_len; 0 where the server does not say.
type listed struct {
	ID      string `json:"id"`
	Context int    `json:"max_model_len"`
}

// find asks for the list of models and takes the first. Who names one is not asked for a list: many servers have none.
func (t *target) find(ctx context.Context, o *Options) (listed, error) {
	if o.Model != "" {
		return listed{ID: o.Model}, nil
	}
	path := strings.TrimSuffix(t.path, "/chat/completions") + "/models"
	h, text, err := t.exchange(ctx, "GET "+path, o.anyKey(), nil)
	if err != nil {
		return listed{}, err
	}
	var list struct {
		Data []listed `json:"data"`
	}
	if h.status != 200 || json.Unmarshal(text, &list) != nil || len(list.Data) == 0 || list.Data[0].ID == "" {
		return listed{}, fmt.Errorf("flood: %s answers %d and lists no model; name one with --model", path, h.status)
	}
	return list.Data[0], nil
}

// tokensOf asks what a prompt of n words has in tokens; 0 where the server does not tell. A server that is busy is asked again.
func (t *target) tokensOf(ctx context.Context, o *Options, n int) (int, error) {
	p := prompter{perToken: 1, seed: o.Seed}
	text := (&Options{}).body(nil, t.model, &workload.Request{Prompt: n, Output: 1}, p, uint64(n)+1<<62, false)
	key := o.anyKey()
	for try := 1; ; try++ {
		h, answer, err := t.exchange(ctx, "POST "+t.path, key, text)
		if err != nil {
			return 0, err
		}
		if h.status == 200 {
			return digits(valueOf(answer, `"prompt_tokens"`), 0), nil
		}
		if busy := h.status == 429 || h.status >= 500; !busy || try == learnTries {
			return 0, fmt.Errorf("flood: %s answers %d to one short prompt before the flood: %.300s", t.path, h.status, answer)
		}
		select {
		case <-time.After(max(h.retryAfter, learnBetween)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// exchange sends one request and reads its answer whole.
func (t *target) exchange(ctx context.Context, line, key string, text []byte) (head, []byte, error) {
	c, err := t.pool.get(ctx, true, time.Now().Add(dialTimeout))
	if err != nil {
		return head{}, nil, fmt.Errorf("flood: the server cannot be reached: %w", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	b := t.appendHead(nil, line, key, nil, len(text))
	if _, err := c.Write(append(b, text...)); err != nil {
		return head{}, nil, fmt.Errorf("flood: the server cannot be asked: %w", errors.Join(ctx.Err(), err))
	}
	h, err := c.readHead()
	if err != nil {
		return h, nil, fmt.Errorf("flood: the server does not answer: %w", errors.Join(ctx.Err(), err))
	}
	answer, err := io.ReadAll(io.LimitReader(c.body(h), answerMax))
	if err != nil {
		return h, nil, fmt.Errorf("flood: the server's answer ends early: %w", errors.Join(ctx.Err(), err))
	}
	return h, answer, nil
}

// appendHead appends a request's head. r is nil for requests that are not of the flood.
func (t *target) appendHead(b []byte, line, key string, r *workload.Request, length int) []byte {
	b = append(append(b, line...), t.common...)
	if key != "" {
		b = append(append(append(b, "Authorization: Bearer "...), key...), "\r\n"...)
	}
	if r != nil && r.Class != "" {
		b = append(append(append(append(b, t.class...), ": "...), r.Class...), "\r\n"...)
	}
	if r != nil && r.Tenant != "" && t.tenant != "" {
		b = append(append(append(append(b, t.tenant...), ": "...), r.Tenant...), "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, "\r\n\r\n"...)
}
