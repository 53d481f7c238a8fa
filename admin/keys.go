package admin

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Key is a key as answers tell it. Its hash is never told.
type Key struct {
	Object  string     `json:"object"` // "key"
	ID      string     `json:"id"`
	Prefix  string     `json:"prefix"`        // of the plain key, without the secret
	Plain   string     `json:"key,omitempty"` // the whole, once: in the answer to its making
	Name    string     `json:"name"`
	Tenant  string     `json:"tenant"`
	Class   string     `json:"class,omitempty"`  // its own, where it has one
	Models  []string   `json:"models,omitempty"` // its own, where it has some
	Admin   bool       `json:"admin"`
	State   string     `json:"state"` // active, expired, revoked
	Created *time.Time `json:"created,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
}

// Describe tells a key as it is at a moment.
func Describe(now time.Time, k tenant.Key) Key {
	d := Key{
		Object: "key", ID: k.ID, Prefix: k.Prefix(), Name: k.Name, Tenant: string(k.Tenant), Models: k.Models, Admin: k.Admin, State: k.State(now),
		Created: moment(k.Created), Expires: moment(k.Expires), Revoked: moment(k.Revoked),
	}
	if k.Class != llm.ClassUnset {
		d.Class = k.Class.String()
	}
	return d
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// NewKey is what the body of POST /admin/keys says.
type NewKey struct {
	Tenant  string     `json:"tenant"`
	Name    string     `json:"name,omitempty"`
	Class   string     `json:"class,omitempty"`
	Models  []string   `json:"models,omitempty"`
	Admin   bool       `json:"admin,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

// Make makes the key that was asked for. Its errors name the member that is wrong.
func (n NewKey) Make(now time.Time) (plain string, k tenant.Key, err error) {
	k = tenant.Key{Tenant: llm.TenantID(n.Tenant), Name: n.Name, Models: n.Models, Admin: n.Admin}
	if n.Tenant == "" && !n.Admin {
		return "", k, llm.InvalidField("tenant", "tenant is missing; name whom the key is for, such as \"search\"")
	}
	if n.Class != "" {
		if k.Class, err = llm.ParseClass(n.Class); err != nil {
			return "", k, llm.InvalidField("class", "%v", err)
		}
	}
	if n.Expires != nil {
		if !n.Expires.After(now) {
			return "", k, llm.InvalidField("expires", "expires %s is past; give a later time, or leave it out for a key that does not expire", n.Expires.Format(time.RFC3339))
		}
		k.Expires = n.Expires.UTC()
	}
	if plain, k, err = tenant.NewKey(now, k); err != nil {
		return "", k, &llm.Error{Op: "make key", Kind: llm.Invalid, Message: err.Error()}
	}
	return plain, k, nil
}

func (s *Server) makeKey(v *visit) error {
	var asked NewKey
	if err := v.read(&asked); err != nil {
		return err
	}
	plain, k, err := asked.Make(v.now)
	if err == nil {
		err = s.book.AddKey(v.ctx, k)
	}
	s.audit(v, "make key", k, err)
	if err != nil {
		return err
	}
	d := Describe(v.now, k)
	d.Plain = plain
	return v.answer(http.StatusCreated, d)
}

const (
	// pageUsual and pageMost: a thousand keys are some 300 KB.
	pageUsual = 1_000
	pageMost  = 10_000
)

func (s *Server) listKeys(v *visit) error {
	q := v.r.URL.Query()
	limit := pageUsual
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pageMost {
			return llm.InvalidField("limit", "limit %q is out of range; it is 1 to %d", clip(text), pageMost)
		}
		limit = n
	}
	keys := s.book.Keys()
	keys = slices.DeleteFunc(keys, func(k tenant.Key) bool {
		return q.Has("tenant") && string(k.Tenant) != q.Get("tenant") || k.ID <= q.Get("after")
	})
	out := page[Key]{Object: "list", Data: []Key{}, HasMore: len(keys) > limit}
	for _, k := range keys[:min(len(keys), limit)] {
		out.Data = append(out.Data, Describe(v.now, k))
	}
	return v.answer(http.StatusOK, out)
}

func (s *Server) revokeKey(v *visit) error {
	id := v.r.PathValue("id")
	k, err := s.book.RevokeKey(v.ctx, v.now, id)
	if err != nil {
		k.ID = clip(id)
	}
	s.audit(v, "revoke key", k, err)
	if err != nil {
		return err
	}
	return v.answer(http.StatusOK, Describe(v.now, k))
}

// audit writes down a control action. Nothing of a key is told but what every list shows.
func (s *Server) audit(v *visit, action string, k tenant.Key, err error) {
	with := []any{"action", action, "by", v.by, "from", v.r.RemoteAddr, "key", k.ID, "tenant", string(k.Tenant), "admin", k.Admin}
	if err != nil {
		s.log.Warn("control failed", append(with, "err", err)...)
		return
	}
	s.log.Info("control", with...)
}
