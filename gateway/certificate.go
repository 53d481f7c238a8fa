package gateway

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificate is a pair of files that is read again when they change. Handshakes look: at most once in certificateLook, one of them
// asks the file system for the files' times, which also sees the swapped links of a mounted secret. A watcher would need a goroutine
// and its own cases for links, network drives and files that are replaced, to be right a second earlier.
//
// A pair that cannot be used leaves the last good one in service. It is tried again at each look, because a renewal that is caught
// between its two files repairs itself, and told once.
type certificate struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	looked    atomic.Int64 // when the files were last looked at, Unix nanoseconds

	mu struct {
		sync.Mutex
		stamp string // of the files that current was read from
		told  string // the stamp of the pair that was told to be bad
	}
}

// certificateLook is how long a replaced certificate may stay unseen. Handshakes are rarer than that or pay one look in a thousand.
const certificateLook = time.Second

// newCertificate reads the pair for the first time; then an error is final.
func newCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	stamp, err := c.stamp()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls: certificate %s with key %s: %w", cert, key, err)
	}
	c.current.Store(&pair)
	c.mu.stamp = stamp
	c.looked.Store(time.Now().UnixNano())
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		log.Warn("the certificate has expired", "file", cert, "expired", end)
	}
	return c, nil
}

// get is for tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, last := time.Now().UnixNano(), c.looked.Load()
	if now-last >= int64(certificateLook) && c.looked.CompareAndSwap(last, now) {
		c.look()
	}
	return c.current.Load(), nil
}

// look reads the pair again if its files have changed.
func (c *certificate) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp, err := c.stamp()
	if err == nil && stamp == c.mu.stamp {
		return
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.cert, c.key)
	}
	if err == nil && time.Now().After(pair.Leaf.NotAfter) {
		err = fmt.Errorf("it expired on %s", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	if err != nil {
		if failed := stamp + err.Error(); failed != c.mu.told {
			c.mu.told = failed
			c.log.Error("the new certificate cannot be used; the one before it stays in service", "file", c.cert, "error", err)
		}
		return
	}
	c.current.Store(&pair)
	c.mu.stamp, c.mu.told = stamp, ""
	c.log.Info("certificate loaded again", "file", c.cert, "expires", pair.Leaf.NotAfter)
}

// stamp tells two states of the files apart.
func (c *certificate) stamp() (string, error) {
	var s string
	for _, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		s += fmt.Sprintf("%d.%d ", info.ModTime().UnixNano(), info.Size())
	}
	return s, nil
}
