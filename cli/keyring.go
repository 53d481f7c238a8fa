package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/weir-ai/weir/admin"
	"github.com/weir-ai/weir/store"
	"github.com/weir-ai/weir/tenant"
)

// keyring is where keys are kept: a running server, or the folder of one.
type keyring interface {
	make(ctx context.Context, n admin.NewKey) (admin.Key, error)
	list(ctx context.Context, each func(admin.Key)) error
	revoke(ctx context.Context, id string) (admin.Key, error)
}

// keyPlace says where keys are kept.
type keyPlace struct {
	Server string `placeholder:"URL" env:"WEIR_ADMIN" help:"The admin address of a running server, such as http://127.0.0.1:9090."`
	Data   string `placeholder:"DIR" help:"The data folder of a server, running or not; goes before a server."`
	JSON   bool   `help:"Print JSON."`
}

func (p keyPlace) named() bool { return p.Server != "" || p.Data != "" }

// keysTimeout bounds one call: a server that needs longer is in trouble.
const keysTimeout = 15 * time.Second

// visit opens the place for as long as do runs.
func (p keyPlace) visit(do func(context.Context, keyring) error) error {
	ctx, stop := untilSignal()
	defer stop()
	err := p.visited(ctx, do)
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func (p keyPlace) visited(ctx context.Context, do func(context.Context, keyring) error) error {
	switch {
	case p.Data != "":
		return openFolder(ctx, p.Data, do)
	case p.Server != "":
		s, err := newKeyServer(p.Server, os.Getenv("WEIR_ADMIN_KEY"))
		if err != nil {
			return usageError{err}
		}
		return do(ctx, s)
	}
	return usageError{errors.New("say where the keys are: --server URL (or WEIR_ADMIN) for a running server, or --data DIR for its data folder")}
}

// keyFolder keeps keys in a data folder, beside a server that may be running.
type keyFolder struct{ book *tenant.Book }

func openFolder(ctx context.Context, dir string, do func(context.Context, keyring) error) (err error) {
	s, err := store.Open(dir, store.Options{Guest: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	book, err := tenant.New(tenant.Config{}, tenant.Options{Keeper: s.Keeper()})
	if err != nil {
		return err
	}
	if err := book.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Stop(context.WithoutCancel(ctx))) }()
	return do(ctx, keyFolder{book})
}

func (f keyFolder) make(ctx context.Context, n admin.NewKey) (admin.Key, error) {
	plain, k, err := n.Make(time.Now())
	if err != nil {
		return admin.Key{}, err
	}
	if err := f.book.AddKey(ctx, k); err != nil {
		return admin.Key{}, err
	}
	d := admin.Describe(time.Now(), k)
	d.Plain = plain
	return d, nil
}

func (f keyFolder) list(_ context.Context, each func(admin.Key)) error {
	now := time.Now()
	for _, k := range f.book.Keys() {
		each(admin.Describe(now, k))
	}
	return nil
}

func (f keyFolder) revoke(ctx context.Context, id string) (admin.Key, error) {
	now := time.Now()
	k, err := f.book.RevokeKey(ctx, now, id)
	return admin.Describe(now, k), err
}

// keyServer keeps keys in a running server.
type keyServer struct {
	base   string // without a slash at its end
	key    string // that may control it; empty where it asks for none
	client *http.Client
}

func newKeyServer(address, key string) (*keyServer, error) {
	full := address
	if strings.HasPrefix(full, ":") {
		full = "127.0.0.1" + full
	}
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--server %q is not the address of a server; write one such as http://127.0.0.1:9090", address)
	}
	// A redirect is never followed: it would take the key to where nobody sent it.
	client := &http.Client{Timeout: keysTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &keyServer{base: strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/admin"), key: strings.TrimSpace(key), client: client}, nil
}

func (s *keyServer) make(ctx context.Context, n admin.NewKey) (k admin.Key, err error) {
	body, err := json.Marshal(n)
	if err != nil {
		return k, err
	}
	return k, s.call(ctx, http.MethodPost, "/admin/keys", body, &k)
}

func (s *keyServer) list(ctx context.Context, each func(admin.Key)) error {
	for after := ""; ; {
		var page struct {
			Data    []admin.Key `json:"data"`
			HasMore bool        `json:"has_more"`
		}
		if err := s.call(ctx, http.MethodGet, "/admin/keys?after="+url.QueryEscape(after), nil, &page); err != nil {
			return err
		}
		for _, k := range page.Data {
			each(k)
			after = k.ID
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
	}
}

func (s *keyServer) revoke(ctx context.Context, id string) (k admin.Key, err error) {
	return k, s.call(ctx, http.MethodDelete, "/admin/keys/"+url.PathEscape(id), nil, &k)
}

// keyAnswerMax bounds an answer: ten thousand keys with long names.
const keyAnswerMax = 64 << 20

// call asks the server and decodes its answer.
func (s *keyServer) call(ctx context.Context, method, path string, body []byte, to any) error {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.key != "" {
		r.Header.Set("Authorization", "Bearer "+s.key)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("the server cannot be asked: %w (its configuration says under admin where it listens; with --data DIR it need not run)", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, keyAnswerMax))
	if err != nil {
		return fmt.Errorf("%s broke off: %w", s.base, err)
	}
	if answer.StatusCode >= 300 {
		return s.refused(answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s answers something else than weir's admin API does: %w", s.base, err)
	}
	return nil
}

// refused is the error that the server told.
func (s *keyServer) refused(status int, text []byte) error {
	var told struct {
		Error struct {
			Message string `json:"message"`
			Code    string `json:"code"`
		} `json:"error"`
	}
	hint := ""
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		hint = " (the key is read from WEIR_ADMIN_KEY)"
	}
	if json.Unmarshal(text, &told) != nil || told.Error.Message == "" {
		return fmt.Errorf("%s answers %d %s, which is not weir's admin API%s", s.base, status, http.StatusText(status), hint)
	}
	return fmt.Errorf("%s refuses: %s%s", s.base, told.Error.Message, hint)
}
