package openai

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/weir-ai/weir/fleet"
)

// list is the answer to GET /v1/models.
type list struct {
	Data []struct {
		ID      string `json:"id"`
		OwnedBy string `json:"owned_by"`
		Context int    `json:"max_model_len"` // vLLM, SGLang and Weir
		Meta    struct {
			Context int `json:"n_ctx_train"` // llama.cpp; what the model could, not what the server does
		} `json:"meta"`
	} `json:"data"`
}

// namesMax bounds the models that are kept of a list: providers list some hundreds.
const namesMax = 1000

func (l *list) names() (out []string) {
	for _, m := range l.Data[:min(len(l.Data), namesMax)] {
		out = append(out, m.ID)
	}
	return out
}

// context is the longest sequence of a model, in tokens; 0 where the list does not say.
func (l *list) context(model string) int {
	for _, m := range l.Data {
		if m.ID == model || len(l.Data) == 1 {
			return max(m.Context, m.Meta.Context, 0)
		}
	}
	return 0
}

// detect finds the kind: by the owner of the models, by where the endpoint is, and by what the paths of the table answer, until the
// first that is certain. An error is the network's, and then nothing is known.
func (e *Endpoint) detect(ctx context.Context, models *list) (*quirk, error) {
	generic := quirkOf("")
	if q := find(func(q *quirk) bool { return len(models.Data) > 0 && q.owner != "" && models.Data[0].OwnedBy == q.owner }); q != generic {
		return q, nil
	}
	if q := find(func(q *quirk) bool { return q.at(hostname(e.host)) }); q != generic {
		return q, nil
	}
	for i := range kinds {
		q := &kinds[i]
		if q.sign.path == "" {
			continue
		}
		body, status, err := e.get(ctx, q.sign.path, probeMax)
		if err != nil {
			return nil, err
		}
		if status == http.StatusOK && q.sign.on(body) {
			return q, nil
		}
	}
	return generic, nil
}

func (s *sign) on(body []byte) bool {
	for _, word := range s.has {
		if !strings.Contains(string(body), word) {
			return false
		}
	}
	return true
}

// facts asks what the server tells of itself into a. What cannot be had stays as it is.
func (e *Endpoint) facts(ctx context.Context, q *quirk, a *fleet.About) {
	asked, body := "", map[string]any(nil)
	for _, f := range q.facts {
		if f.path != asked {
			asked, body = f.path, nil
			text, status, err := e.get(ctx, f.path, probeMax)
			if err == nil && status == http.StatusOK {
				_ = json.Unmarshal(text, &body) // another answer than an object has no members
			}
		}
		f.note(body, a)
	}
}

// note takes the fact out of an object.
func (f *fact) note(body map[string]any, a *fleet.About) {
	path := strings.Split(f.member, ".")
	for _, key := range path[:len(path)-1] {
		body, _ = body[key].(map[string]any)
	}
	switch v := body[path[len(path)-1]].(type) {
	case string:
		if f.what == isVersion && v != "" {
			a.Version = plain(v)
		}
	case float64:
		if v < 1 || v > 1<<40 {
			return
		}
		switch f.what {
		case isContext:
			a.Context = int(v)
		case isSlots:
			a.Slots = int(v)
		case isCache:
			a.Cache = int(v)
		}
	}
}

// lastVersion is the part of a base that all routes of an API share and that its server's other paths do not: /v1, and /v3 of OVMS.
var lastVersion = regexp.MustCompile(`/v[0-9]+$`)

// root is where the server's own paths begin.
func (e *Endpoint) root() *url.URL {
	u := *e.base
	u.Path, u.RawPath = strings.TrimSuffix(lastVersion.ReplaceAllString(u.Path, ""), "/"), ""
	return &u
}
