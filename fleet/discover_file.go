package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

const (
	// fileBytesMax is room for 1,024 endpoints with the longest URLs and names.
	fileBytesMax = 1 << 20
	// fileEvery is how often the file is looked at, without reading it: one system call, so that less would gain nothing, as a change is
	// taken up at the second look; more would be noticed by who edits it.
	fileEvery = time.Second
	// fileNameMax is what a label and a header can take.
	fileNameMax = 64
)

// File finds endpoints in a file that others write. It is either lines, for people and shell scripts,
//
//	# comments and empty lines are skipped
//	http://10.0.0.7:8000/v1  weight=0.5 name=left
//	http://10.0.0.8:8000/v1
//
// or JSON, for programs: [{"url": "http://10.0.0.7:8000/v1", "weight": 0.5, "name": "left"}]. It is JSON if it begins with a bracket,
// which no URL does. An endpoint without a name gets base and a hash of its URL; the weight is 1 where none is said.
//
// The file is looked at again and again rather than subscribed to: Kubernetes exchanges a symlink above it, editors rename another file
// over it, and network file systems tell nobody, and a subscription loses all three. It is read when two looks in a row saw the same
// file: who truncates and then writes must not have half a list, or none, taken for the whole. A file that is valid and lists nothing
// says that there are no endpoints.
type File struct {
	base llm.EndpointID
	path string

	looked bool        // at least once
	seen   fs.FileInfo // at the last look; nil where there was no file
	read   fs.FileInfo // when list was read; nil where it could not be
	list   []Target
	err    error // why it could not be
}

// NewFile makes a source of the file at path, which need not be there yet.
func NewFile(base llm.EndpointID, path string) (*File, error) {
	if err := checkBase(base); err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("the file of endpoints has no path")
	}
	return &File{base: base, path: path}, nil
}

// Every is 1 s.
func (f *File) Every() time.Duration { return fileEvery }

// Find gives what the file lists.
func (f *File) Find(context.Context) ([]Target, error) {
	now, err := os.Stat(f.path)
	if err != nil {
		now = nil
	}
	settled := !f.looked || sameFile(f.seen, now)
	f.looked, f.seen = true, now
	switch {
	case err != nil:
		return f.fail(err)
	case f.read != nil && sameFile(f.read, now), !settled:
		return f.list, f.err
	}
	text, err := readBounded(f.path, now)
	if err != nil {
		return f.fail(err)
	}
	if again, err := os.Stat(f.path); err != nil || !sameFile(now, again) {
		if f.read == nil {
			return f.fail(fmt.Errorf("%q is being written", f.path))
		}
		return f.list, f.err // a later look sees it settled
	}
	f.read = now
	if f.list, f.err = parseTargets(f.base, text); f.err != nil {
		f.err = fmt.Errorf("file of endpoints: %q: %w", f.path, f.err)
	}
	return f.list, f.err
}

// fail keeps why the file could not be read, until it can be.
func (f *File) fail(err error) ([]Target, error) {
	f.read, f.list, f.err = nil, nil, fmt.Errorf("file of endpoints: %w", err)
	return nil, f.err
}

// sameFile reports whether nothing was written to the file, and no other put in its place, between two looks.
func sameFile(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func readBounded(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", path) // a pipe would never end
	}
	if info.Size() > fileBytesMax {
		return nil, fmt.Errorf("%q has %d bytes; %d at most", path, info.Size(), fileBytesMax)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1)) // it may have grown since
	if err == nil && len(text) > fileBytesMax {
		err = fmt.Errorf("%q has more than %d bytes", path, fileBytesMax)
	}
	return text, err
}

// entry is one endpoint as the file writes it.
type entry struct {
	URL    string   `json:"url"`
	Weight *float64 `json:"weight"`
	Name   string   `json:"name"`

	at string // where it stands, for errors
}

// parseTargets reads either form. Errors say where.
func parseTargets(base llm.EndpointID, text []byte) ([]Target, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin with it
	read := parseLines
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		read = parseJSON
	}
	entries, err := read(text)
	if err != nil {
		return nil, err
	}
	if len(entries) > targetsMax {
		return nil, fmt.Errorf("it lists %d endpoints; %d at most", len(entries), targetsMax)
	}
	list := make([]Target, 0, len(entries))
	urls, names := map[string]string{}, newNamer(base)
	named := map[llm.EndpointID]string{}
	for _, e := range entries {
		t, err := e.target()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.at, err)
		}
		if first, twice := urls[t.URL]; twice {
			return nil, fmt.Errorf("%s: the URL is that of %s; keep one", e.at, first)
		}
		urls[t.URL] = e.at
		if first, twice := named[t.Name]; twice && t.Name != "" {
			return nil, fmt.Errorf("%s: the name %q is that of %s; give it another", e.at, t.Name, first)
		}
		named[t.Name], names.used[t.Name] = e.at, true
		list = append(list, t)
	}
	for i := range list { // after the names that were given, which go first
		if list[i].Name == "" {
			list[i].Name = names.name(list[i].URL)
		}
	}
	return list, nil
}

func parseJSON(text []byte) ([]entry, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var entries []entry
	if err := d.Decode(&entries); err != nil {
		line := 1 + bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte("\n"))
		return nil, fmt.Errorf(`near line %d: %w; it is written [{"url": "http://HOST:PORT/v1", "weight": 1, "name": "a"}]`, line, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the closing bracket; remove it")
	}
	for i := range entries {
		entries[i].at = "entry " + strconv.Itoa(i+1)
	}
	return entries, nil
}

func parseLines(text []byte) ([]entry, error) {
	var entries []entry
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		for i, f := range fields {
			if strings.HasPrefix(f, "#") {
				fields = fields[:i]
				break
			}
		}
		if len(fields) == 0 {
			continue
		}
		e := entry{URL: fields[0], at: "line " + strconv.Itoa(number)}
		for _, f := range fields[1:] {
			if err := e.set(f); err != nil {
				return nil, fmt.Errorf("%s: %w", e.at, err)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// set reads one key=value behind a URL.
func (e *entry) set(field string) error {
	key, value, ok := strings.Cut(field, "=")
	switch {
	case ok && key == "weight" && e.Weight == nil:
		w, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("weight %.20q is not a number", value)
		}
		e.Weight = &w
	case ok && key == "name" && e.Name == "" && value != "":
		e.Name = value
	case ok && (key == "weight" || key == "name"):
		return fmt.Errorf("%s is empty or said twice; write it once", key)
	default:
		return fmt.Errorf("%.40q is not known; behind the URL stand weight=NUMBER and name=NAME", field)
	}
	return nil
}

// target checks what was written.
func (e *entry) target() (Target, error) {
	u, err := parseBase(e.URL)
	if err != nil {
		return Target{}, err
	}
	t := Target{Name: llm.EndpointID(e.Name), URL: u.String(), Weight: 1}
	if e.Weight != nil {
		t.Weight = *e.Weight
	}
	if !(t.Weight > 0 && t.Weight <= weightMax) {
		return Target{}, fmt.Errorf("weight %g is out of range; it is above 0 and at most %d", t.Weight, weightMax)
	}
	if e.Name == "" {
		return t, nil
	}
	if len(e.Name) > fileNameMax {
		return Target{}, fmt.Errorf("name %.40q... is longer than %d bytes", e.Name, fileNameMax)
	}
	for _, c := range e.Name {
		if !plain(c) && c != '.' {
			return Target{}, fmt.Errorf("name %q has %q; letters, digits and -_. are allowed", e.Name, c)
		}
	}
	if _, err := netip.ParseAddr(e.Name); err == nil {
		return Target{}, fmt.Errorf("name %q is an address; clients read names, so give it another or leave it out", e.Name)
	}
	return t, nil
}
