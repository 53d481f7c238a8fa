package tenant

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Key is one API key as it rests: a public id, whom it lets in and what it may, and the hash of the whole. A plain SHA-256 is enough,
// where a password would need a slow one, because keys are random: nobody guesses 256 bits, however fast the hash.
type Key struct {
	ID      string // public: logs and lists show it
	Name    string // what its owner calls it
	Hash    string // "sha256:" and 64 hexadecimal digits
	Tenant  llm.TenantID
	Class   llm.Class // may only lower the tenant's; unset is the tenant's
	Models  []string  // which it may ask for, within its tenant's; as Tenant.Models
	Admin   bool      // it may control the server; it need not belong to a tenant
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: not
}

const (
	hashPrefix  = "sha256:"
	plainPrefix = "sk-weir-"
	// idLength: k and 8 letters of base32, 40 bits. Among 10,000 keys two are alike once in 20,000 such lists, and Book tells then.
	idLength     = 9
	secretLength = 52 // 256 bits in base32
	// plainMax bounds what is hashed for a stranger: no key is longer, and a head's limit would allow 64 KB.
	plainMax = 512
	nameMax  = 200
)

// NewKey makes the key that k describes: its id, hash and time of making are set. The plain text is for the client and kept nowhere.
func NewKey(now time.Time, k Key) (plain string, made Key, err error) {
	var b [5 + 32]byte // the public part and the secret
	if _, err := rand.Read(b[:]); err != nil {
		return "", Key{}, fmt.Errorf("no randomness for a key: %w", err)
	}
	letters := base32.StdEncoding.WithPadding(base32.NoPadding)
	// Every id begins with a letter, so that YAML never takes it for a number.
	k.ID = "k" + strings.ToLower(letters.EncodeToString(b[:5]))
	plain = plainPrefix + k.ID + "-" + strings.ToLower(letters.EncodeToString(b[5:]))
	k.Hash, k.Created = HashOf(plain), now.UTC().Truncate(time.Second)
	return plain, k, k.Validate()
}

// HashOf is how a plain key rests.
func HashOf(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// Prefix is what may be shown of the plain key: all but the secret.
func (k Key) Prefix() string { return plainPrefix + k.ID }

// Validate names the first fault of a key.
func (k Key) Validate() error {
	if k.ID == "" || len(k.ID) > nameMax {
		return fmt.Errorf("the id %q of a key has %d letters; it has 1 to %d, and `weir key new` makes one", k.ID, len(k.ID), nameMax)
	}
	if _, err := k.digest(); err != nil {
		return err
	}
	if len(k.Name) > nameMax {
		return fmt.Errorf("the name of key %s has %d letters; at most %d", k.ID, len(k.Name), nameMax)
	}
	if err := validID(k.Tenant); err != nil {
		return fmt.Errorf("key %s: %w", k.ID, err)
	}
	if err := validModels(k.Models); err != nil {
		return fmt.Errorf("key %s: %w", k.ID, err)
	}
	if !k.Expires.IsZero() && !k.Created.IsZero() && !k.Expires.After(k.Created) {
		return fmt.Errorf("key %s expires at %s, before it was made; give it a later time", k.ID, k.Expires.Format(time.RFC3339))
	}
	return nil
}

// digest reads the hash.
func (k Key) digest() (sum [sha256.Size]byte, err error) {
	text, ok := strings.CutPrefix(k.Hash, hashPrefix)
	b, err := hex.DecodeString(text)
	if !ok || err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("the hash of key %q is not %s and 64 hexadecimal digits; `weir key new` makes an entry", k.ID, hashPrefix)
	}
	return [sha256.Size]byte(b), nil
}

// State is what a key is at a moment: "active", "revoked" or "expired".
func (k Key) State(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	}
	return "active"
}

// ClassIn is the class of the key's requests: its own may only lower its tenant's.
func (k Key) ClassIn(t *Tenant) llm.Class {
	class := llm.ClassUnset
	if t != nil {
		class = t.Class
	}
	if k.Class == llm.ClassUnset {
		return class
	}
	return class.Lower(k.Class)
}
