package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Keeper gives the part of the store that keeps keys and tallies.
func (s *Store) Keeper() tenant.Keeper { return keeper{s} }

type keeper struct{ s *Store }

const (
	keysVersion = "SELECT coalesce((SELECT value FROM versions WHERE name = 'keys'), 0)"
	keysChanged = "INSERT INTO versions (name, value) VALUES ('keys', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"

	readKeys = "SELECT id, name, hash, tenant, class, models, admin, created, expires, revoked FROM keys"
	saveKey  = `INSERT INTO keys (id, name, hash, tenant, class, models, admin, created, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, tenant = excluded.tenant, class = excluded.class,
		models = excluded.models, admin = excluded.admin, created = excluded.created, expires = excluded.expires, revoked = excluded.revoked`

	readTallies = "SELECT tenant, name, period, value, at FROM tallies"
	saveTally   = `INSERT INTO tallies (tenant, name, period, value, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, name) DO UPDATE SET period = excluded.period, value = excluded.value, at = excluded.at`
)

func (k keeper) KeysVersion(ctx context.Context) (v int64, err error) {
	err = k.s.read(ctx, func(db *sql.DB) error { return db.QueryRowContext(ctx, keysVersion).Scan(&v) })
	return v, err
}

func (k keeper) Keys(ctx context.Context) (keys []tenant.Key, err error) {
	err = k.s.each(ctx, readKeys, func(rows *sql.Rows) error {
		key, err := scanKey(rows)
		keys = append(keys, key)
		return err
	})
	return keys, err
}

func scanKey(rows *sql.Rows) (k tenant.Key, err error) {
	var class, models string
	var created, expires, revoked int64
	if err := rows.Scan(&k.ID, &k.Name, &k.Hash, &k.Tenant, &class, &models, &k.Admin, &created, &expires, &revoked); err != nil {
		return k, err
	}
	if class != "" {
		if k.Class, err = llm.ParseClass(class); err != nil {
			return k, fmt.Errorf("key %s in the store: %w", k.ID, err)
		}
	}
	if err := json.Unmarshal([]byte(models), &k.Models); err != nil {
		return k, fmt.Errorf("the models of key %s in the store: %w", k.ID, err)
	}
	k.Created, k.Expires, k.Revoked = timeOf(created), timeOf(expires), timeOf(revoked)
	return k, nil
}

func (k keeper) SaveKey(ctx context.Context, key tenant.Key) error {
	models, err := json.Marshal(key.Models)
	if err != nil {
		return fmt.Errorf("the models of key %s: %w", key.ID, err)
	}
	class := ""
	if key.Class != llm.ClassUnset {
		class = key.Class.String()
	}
	return k.s.write(ctx, func(t *tx) error {
		if _, err := t.exec(saveKey, key.ID, key.Name, key.Hash, string(key.Tenant), class, string(models), key.Admin,
			nanoseconds(key.Created), nanoseconds(key.Expires), nanoseconds(key.Revoked)); err != nil {
			return fmt.Errorf("key %s: %w", key.ID, err)
		}
		_, err := t.exec(keysChanged)
		return err
	})
}

func (k keeper) Tallies(ctx context.Context) (tallies []tenant.Tally, err error) {
	err = k.s.each(ctx, readTallies, func(rows *sql.Rows) error {
		var t tenant.Tally
		var at int64
		err := rows.Scan(&t.Tenant, &t.Name, &t.Period, &t.Value, &at)
		t.At = timeOf(at)
		tallies = append(tallies, t)
		return err
	})
	return tallies, err
}

func (k keeper) SaveTallies(ctx context.Context, rows []tenant.Tally) error {
	if len(rows) == 0 {
		return nil
	}
	return k.s.write(ctx, func(t *tx) error {
		for _, r := range rows {
			if _, err := t.exec(saveTally, string(r.Tenant), r.Name, r.Period, r.Value, nanoseconds(r.At)); err != nil {
				return fmt.Errorf("tally %s of tenant %q: %w", r.Name, r.Tenant, err)
			}
		}
		return nil
	})
}

// each calls do for every row of a query.
func (s *Store) each(ctx context.Context, query string, do func(*sql.Rows) error) error {
	return s.read(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := do(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// nanoseconds is how a time rests: since 1970 in UTC, 0 for none.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
