package tenant

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// ring finds keys. It never changes once it is made.
type ring struct {
	keys []entry
	byID map[string]int // into keys
	// bySum finds keys that were made elsewhere, whose text does not hold their id. A stranger learns nothing from the time that
	// takes: it depends on SHA-256 of what he sent, which he cannot aim.
	bySum map[[sha256.Size]byte]int
}

type entry struct {
	key Key
	sum [sha256.Size]byte
}

func newRing(keys []Key) (*ring, error) {
	if len(keys) > keysMax {
		return nil, fmt.Errorf("there are %d keys; %d at most", len(keys), keysMax)
	}
	r := &ring{keys: make([]entry, 0, len(keys)), byID: make(map[string]int, len(keys)), bySum: make(map[[sha256.Size]byte]int, len(keys))}
	for _, k := range keys {
		if err := k.Validate(); err != nil {
			return nil, err
		}
		sum, err := k.digest()
		if err != nil {
			return nil, err
		}
		if _, twice := r.byID[k.ID]; twice {
			return nil, fmt.Errorf("the id %q is of two keys; make one of them anew with `weir key new`", k.ID)
		}
		if at, twice := r.bySum[sum]; twice {
			return nil, fmt.Errorf("keys %q and %q are the same key; keep one", r.keys[at].key.ID, k.ID)
		}
		r.byID[k.ID], r.bySum[sum] = len(r.keys), len(r.keys)
		r.keys = append(r.keys, entry{k, sum})
	}
	return r, nil
}

// nobody is what unknown ids are compared with, so that they take as long as known ones. No text has this hash, as far as anybody knows.
var nobody = entry{}

// find gives the place of the key whose hash plain has.
func (r *ring) find(plain string) (int, bool) {
	if plain == "" || len(plain) > plainMax {
		return 0, false
	}
	var buf [plainMax]byte
	sum := sha256.Sum256(buf[:copy(buf[:], plain)])
	e, at := &nobody, -1
	if id, ok := idIn(plain); ok {
		if i, known := r.byID[id]; known {
			e, at = &r.keys[i], i
		}
	}
	if subtle.ConstantTimeCompare(e.sum[:], sum[:]) == 1 && at >= 0 {
		return at, true
	}
	at, known := r.bySum[sum]
	return at, known
}

// idIn reads the id out of a key of NewKey's form.
func idIn(plain string) (string, bool) {
	rest, ours := strings.CutPrefix(plain, plainPrefix)
	if !ours || len(rest) != idLength+1+secretLength || rest[idLength] != '-' {
		return "", false
	}
	return rest[:idLength], true
}

// errWrongKey never says which part of a key is wrong.
func errWrongKey() error {
	return llm.Errorf(llm.Unauthenticated, "Incorrect API key provided. Send one of the keys that this server knows as Authorization: Bearer KEY.")
}

// check refuses a key that is over. Only who has the whole key learns that.
func (k *Key) check(now time.Time) error {
	switch k.State(now) {
	case "revoked":
		return llm.Errorf(llm.Unauthenticated, "The API key %s was revoked at %s. Ask who runs this server for another.", k.Prefix(), k.Revoked.UTC().Format(time.RFC3339))
	case "expired":
		return llm.Errorf(llm.Unauthenticated, "The API key %s expired at %s. Ask who runs this server for another.", k.Prefix(), k.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}
