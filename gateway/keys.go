package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/weir-ai/weir/llm"
)

// Key is one API key as it rests: a public name, whom it lets in, and the hash of the whole. A plain SHA-256 is enough, where a
// password would need a slow one, because keys are random: nobody guesses 256 bits, however fast the hash.
type Key struct {
	ID     string
	Hash   string // "sha256:" and 64 hexadecimal digits
	Tenant string
}

// keysMax bounds the list that every request is compared with: 10,000 keys take some 100 µs. Far more than one server's clients,
// and still less than a token takes.
const keysMax = 10_000

const hashPrefix = "sha256:"

// NewKey makes a key for a tenant. The plain text is for the client and kept nowhere.
func NewKey(tenant string) (plain string, k Key, err error) {
	var b [5 + 32]byte // the public part and the secret
	if _, err := rand.Read(b[:]); err != nil {
		return "", Key{}, fmt.Errorf("no randomness for a key: %w", err)
	}
	letters := base32.StdEncoding.WithPadding(base32.NoPadding)
	// Every id begins with a letter, so that YAML never takes it for a number.
	id := "k" + strings.ToLower(letters.EncodeToString(b[:5]))
	plain = "sk-weir-" + id + "-" + strings.ToLower(letters.EncodeToString(b[5:]))
	sum := sha256.Sum256([]byte(plain))
	return plain, Key{ID: id, Hash: hashPrefix + hex.EncodeToString(sum[:]), Tenant: tenant}, nil
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

// keyring holds the listed keys. It never changes after New.
type keyring struct {
	keys    []Key
	digests []digest // of keys, in their order
}

// digest is a SHA-256 as four words, so that ten thousand are compared in the time of one token.
type digest [4]uint64

func words(sum [sha256.Size]byte) (d digest) {
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return d
}

// differs is 0 for equal digests and 1 for others, found without a branch.
func (d digest) differs(e digest) int {
	x := d[0] ^ e[0] | d[1] ^ e[1] | d[2] ^ e[2] | d[3] ^ e[3]
	return int((x | -x) >> 63)
}

func newKeyring(keys []Key) (keyring, error) {
	r := keyring{keys: keys}
	for _, k := range keys {
		d, err := k.digest()
		if err != nil {
			return keyring{}, err
		}
		r.digests = append(r.digests, words(d))
	}
	return r, nil
}

// find gives the listed key whose hash plain has. Every key is compared in full, so that the time tells neither whether there is
// such a key nor how far down the list it stands.
func (r keyring) find(plain string) (Key, bool) {
	sum := words(sha256.Sum256([]byte(plain)))
	at := -1
	for i := range r.digests {
		at = subtle.ConstantTimeSelect(sum.differs(r.digests[i]), at, i)
	}
	if at < 0 {
		return Key{}, false
	}
	return r.keys[at], true
}

// authenticate finds who asks. Where keys are not required, a listed key still names its tenant, and any other is ignored: SDKs
// send one whether they have one or not.
func (x *exchange) authenticate() error {
	plain, sent := bearer(x.r.Header)
	if sent {
		if k, ok := x.s.keys.find(plain); ok {
			x.key = k
			return nil
		}
	}
	if !x.s.cfg.KeysRequired || !x.route.is(keyed) {
		return nil
	}
	x.header("Www-Authenticate", "Bearer")
	if sent {
		return llm.Errorf(llm.Unauthenticated, "Incorrect API key provided. Send one of the keys that this server lists as Authorization: Bearer KEY.")
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
