package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Keys finds whom a key lets in, and who asks without one.
type Keys interface {
	// Authenticate gives the key and its tenant. The error is an *llm.Error for clients.
	Authenticate(now time.Time, plain string) (tenant.Key, *tenant.Tenant, error)
	// Tenant is what is configured of a tenant.
	Tenant(id llm.TenantID) *tenant.Tenant
}

// anonymous is the tenant of those who bring no key, where it is configured.
const anonymous llm.TenantID = "anonymous"

// authenticate finds who asks. Where keys are not required, a known key still names its tenant, and any other is ignored: SDKs
// send one whether they have one or not.
func (x *exchange) authenticate() error {
	var wrong error
	plain, sent := bearer(x.r.Header)
	if sent && x.s.keys != nil {
		k, t, err := x.s.keys.Authenticate(x.began, plain)
		if err == nil {
			x.key, x.tenant, x.class = k, k.Tenant, k.ClassIn(t)
			x.of(t)
			return nil
		}
		wrong = err
	}
	if !x.s.cfg.KeysRequired || !x.route.is(keyed) {
		if x.s.keys != nil {
			if t := x.s.keys.Tenant(anonymous); configured(t) {
				x.tenant, x.class = anonymous, t.Class
				x.of(t)
			}
		}
		return nil
	}
	x.header("Www-Authenticate", "Bearer")
	if wrong != nil {
		return wrong
	}
	if sent {
		return llm.Errorf(llm.Unauthenticated, "Incorrect API key provided. Send one of the keys that this server knows as Authorization: Bearer KEY.")
	}
	for _, other := range []string{"X-Api-Key", "Api-Key"} {
		if x.r.Header.Get(other) != "" {
			return llm.Errorf(llm.Unauthenticated, "The key came in the header %s, which is not read here. Send it as Authorization: Bearer KEY.", other)
		}
	}
	return llm.Errorf(llm.Unauthenticated, "You didn't provide an API key. Send it as Authorization: Bearer KEY; who runs this server makes one with `weir key new`.")
}

// bearer gives the key of the Authorization header.
func bearer(h http.Header) (string, bool) {
	scheme, key, ok := strings.Cut(h.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !ok || key == "" || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return key, true
}

// configured reports whether anything is configured of a tenant.
func configured(t *tenant.Tenant) bool {
	return t.Class != llm.ClassUnset || t.Weight != 0 || t.Limits != (tenant.Limits{}) || len(t.Budgets) > 0 || len(t.Models) > 0
}

// of notes what the account needs of a tenant.
func (x *exchange) of(t *tenant.Tenant) {
	if t != nil {
		x.weight, x.owner = t.Weight, t
	}
}

// may refuses a model that the key or its tenant may not ask.
func (x *exchange) may(model llm.ModelID) error { return tenant.Allow(x.key, x.owner, model) }
