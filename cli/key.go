package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-ai/weir/admin"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/tenant"
)

type keyCommand struct {
	New    keyNewCommand    `cmd:"" help:"Make a key and print it once."`
	List   keyListCommand   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keyRevokeCommand `cmd:"" help:"End a key for good."`
}

type keyNewCommand struct {
	keyPlace
	Tenant  string   `placeholder:"NAME" help:"Who the key is for; tenants never share a prefix cache. Without one it is default, and none with --admin."`
	Name    string   `placeholder:"TEXT" help:"What it is called in lists."`
	Class   string   `placeholder:"CLASS" help:"system, interactive, standard or batch; it may only lower the tenant's."`
	Model   []string `placeholder:"NAME" sep:"none" help:"A model that it may ask for, or the beginning of names and *; may be repeated. Without one: all that the tenant may."`
	Expires string   `placeholder:"WHEN" help:"After how long it ends, such as 30d or 12h, or when: 2027-01-31."`
	Admin   bool     `help:"It may control the server: keys, and what the admin API tells."`
}

// Help teaches by example.
func (keyNewCommand) Help() string {
	return `Examples:

  weir key new --tenant search                          a key, and the lines of the configuration that let it in
  weir key new --tenant search --server :9090           a running server lets it in at once
  weir key new --tenant ci --expires 30d --data /var/lib/weir
                                                        the same, through the folder that the server keeps its data in
  weir key new --admin --data /var/lib/weir             a key that may control the server

The key is shown once and kept nowhere: what is kept is its hash. Without --server, WEIR_ADMIN and --data it is for the configuration: put the
printed lines under keys.list, give the key to the client as its API key, and reload weir. A server asks for a key that may control it
where it has one; it is read from WEIR_ADMIN_KEY.`
}

// Run makes a key.
func (c keyNewCommand) Run(call *call) error {
	now := time.Now()
	asked := admin.NewKey{Tenant: c.Tenant, Name: c.Name, Class: c.Class, Models: c.Model, Admin: c.Admin}
	if c.Tenant == "" && !c.Admin {
		asked.Tenant = "default"
	}
	expires, err := expiry(now, c.Expires)
	if err != nil {
		return usageError{fmt.Errorf("--expires %w", err)}
	}
	if !expires.IsZero() {
		asked.Expires = &expires
	}
	plain, k, err := asked.Make(now) // what is wrong with it is wrong everywhere; the key itself is used only where there is no place to keep one
	if err != nil {
		return usageError{err}
	}
	if !c.named() {
		return c.print(call.Out, plain, k)
	}
	var made admin.Key
	err = c.visit(func(ctx context.Context, keys keyring) error {
		made, err = keys.make(ctx, asked)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(call.Out, made)
	}
	until := ""
	if made.Expires != nil {
		until = " until " + made.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(call.Out, "%s\n\nThe key is shown this once. It lets %s in from now on%s. Its id is %s.\n", paintFor(call.Out).bold(made.Plain), whom(made), until, made.ID)
	return nil
}

func whom(k admin.Key) string {
	switch {
	case k.Tenant == "":
		return "operators"
	case k.Admin:
		return fmt.Sprintf("operators and tenant %q", k.Tenant)
	}
	return fmt.Sprintf("tenant %q", k.Tenant)
}

// print prints a key with the lines of a configuration that let it in.
func (c keyNewCommand) print(w *os.File, plain string, k tenant.Key) error {
	if c.JSON {
		entry := map[string]any{"key": plain, "id": k.ID, "hash": k.Hash, "tenant": k.Tenant}
		if c.Class != "" {
			entry["class"] = c.Class
		}
		if len(k.Models) > 0 {
			entry["models"] = k.Models
		}
		if !k.Expires.IsZero() {
			entry["expires"] = k.Expires
		}
		if k.Admin {
			entry["admin"] = true
		}
		return printJSON(w, entry)
	}
	entry := fmt.Sprintf("id: %s, tenant: %q, hash: %q", k.ID, k.Tenant, k.Hash)
	if c.Class != "" {
		entry += ", class: " + c.Class
	}
	if len(k.Models) > 0 {
		var quoted []string
		for _, m := range k.Models {
			quoted = append(quoted, strconv.Quote(m))
		}
		entry += ", models: [" + strings.Join(quoted, ", ") + "]"
	}
	if !k.Expires.IsZero() {
		entry += fmt.Sprintf(", expires: %q", k.Expires.UTC().Format(time.RFC3339))
	}
	if k.Admin {
		entry += ", admin: true"
	}
	entry = "    - {" + entry + "}"
	if k.Name != "" {
		entry += " # " + strconv.Quote(k.Name)
	}
	fmt.Fprintf(w, "%s\n\nThe key is shown this once. For the configuration:\n\nkeys:\n  list:\n%s\n", paintFor(w).bold(plain), entry)
	return nil
}

// expiry reads when a key ends: after so many weeks, days, hours or minutes, or at a day or moment; zero where nothing is said.
func expiry(now time.Time, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	units := map[byte]time.Duration{'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}
	if unit := units[s[len(s)-1]]; unit != 0 {
		n, err := strconv.Atoi(s[:len(s)-1])
		if most := int(100 * 366 * 24 * time.Hour / unit); err == nil && n > 0 && n <= most {
			return now.Add(time.Duration(n) * unit).UTC().Truncate(time.Second), nil
		}
		return time.Time{}, fmt.Errorf("%q is no time; write 30d, 12h, 2w or a day such as 2027-01-31, a hundred years off at most", s)
	}
	at, err := config.Key{Expires: s}.ExpiresAt()
	if err != nil {
		return at, fmt.Errorf("%w, nor a time such as 30d or 12h", err)
	}
	if !at.After(now) {
		return at, fmt.Errorf("%q is past; give a later time", s)
	}
	return at.UTC(), nil
}

type keyListCommand struct {
	keyPlace
	Tenant string `placeholder:"NAME" help:"Only the keys of one tenant."`
}

// Help teaches by example.
func (keyListCommand) Help() string {
	return `Examples:

  weir key list --server http://127.0.0.1:9090
  weir key list --data /var/lib/weir --tenant search --json

A server lists the keys of its configuration, too; a folder has only those that were made with --server or --data.`
}

// Run lists keys.
func (c keyListCommand) Run(call *call) error {
	list := []admin.Key{}
	err := c.visit(func(ctx context.Context, keys keyring) error {
		return keys.list(ctx, func(k admin.Key) {
			if c.Tenant == "" || k.Tenant == c.Tenant {
				list = append(list, k)
			}
		})
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(call.Out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(call.Out, "There are no keys; `weir key new` makes one.")
		return nil
	}
	t := tabwriter.NewWriter(call.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tTENANT\tCLASS\tMODELS\tSTATE\tMADE\tEXPIRES")
	for _, k := range list {
		state := k.State
		if k.Admin {
			state += ", admin"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, cell(k.Name), cell(k.Tenant), cell(k.Class), cell(strings.Join(k.Models, " ")), state, day(k.Created), day(k.Expires))
	}
	return t.Flush()
}

// cell is a text as a table shows it: what its maker wrote must not control the terminal.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02 15:04")
}

type keyRevokeCommand struct {
	keyPlace
	ID string `arg:"" help:"The key's id, as weir key list shows it."`
}

// Help teaches by example.
func (keyRevokeCommand) Help() string {
	return `Examples:

  weir key revoke kaechahlz --server http://127.0.0.1:9090
  weir key revoke kaechahlz --data /var/lib/weir

A revoked key is refused at once by the server that was asked, and within a second by one that has the folder. What it has running goes on.
A key of the configuration can be revoked through the server.`
}

// Run revokes a key.
func (c keyRevokeCommand) Run(call *call) error {
	var k admin.Key
	err := c.visit(func(ctx context.Context, keys keyring) (err error) {
		k, err = keys.revoke(ctx, strings.TrimPrefix(c.ID, "sk-weir-"))
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(call.Out, k)
	}
	fmt.Fprintf(call.Out, "The key %s of %s is revoked since %s.\n", k.ID, whom(k), day(k.Revoked))
	return nil
}
