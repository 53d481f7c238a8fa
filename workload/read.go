package workload

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kinds lists the kinds of traces that Read knows:
//
//	azure     Azure's LLM inference: CSV of TIMESTAMP (a date), ContextTokens, GeneratedTokens
//	mooncake  Mooncake, FAST'25: JSON lines of timestamp (ms), input_length, output_length, hash_ids
//	servegen  ServeGen, Alibaba: a tar.gz of each client's rates and lengths over a day
//	vtc       the fairness paper's (OSDI'24): CSV of req_time_s, client, prompt_len, output_len
//	aibrix    AIBrix: CSV of timestamp_ms, prompt_length, output_length
//	csv       own: CSV of at (s) or at_ms, prompt, output, and as wanted tenant, class, session
//	jsonl     own: JSON lines of the same names, and as wanted blocks (hashes) and block (tokens of one)
func Kinds() []string {
	return []string{"azure", "mooncake", "servegen", "vtc", "aibrix", "csv", "jsonl"}
}

// MooncakeBlock is the tokens of one block of a Mooncake trace.
const MooncakeBlock = 512

// lineMax bounds a line of a trace, in bytes: a prompt of a million tokens in blocks of 16.
const lineMax = 2 << 20

// layout says which columns a CSV trace has. at names the time's column, unit is what one of it lasts; unit 0 is a date.
type layout struct {
	kind                   string
	at                     string
	unit                   time.Duration
	prompt, output         string
	tenant, class, session string // empty: none. A column that is named here may be missing
}

var layouts = []layout{
	{kind: "azure", at: "TIMESTAMP", prompt: "ContextTokens", output: "GeneratedTokens"},
	{kind: "vtc", at: "req_time_s", unit: time.Second, prompt: "prompt_len", output: "output_len", tenant: "client"},
	{kind: "aibrix", at: "timestamp_ms", unit: time.Millisecond, prompt: "prompt_length", output: "output_length"},
	{kind: "csv", at: "at", unit: time.Second, prompt: "prompt", output: "output", tenant: "tenant", class: "class", session: "session"},
	{kind: "csv", at: "at_ms", unit: time.Millisecond, prompt: "prompt", output: "output", tenant: "tenant", class: "class", session: "session"},
}

// Read reads a trace of a kind, or of the kind that its first bytes show where kind is empty, in the order of time. seed decides what a
// trace leaves open: ServeGen tells distributions.
func Read(r io.Reader, kind string, span Span, seed uint64) ([]Request, error) {
	if span.From < 0 || span.For < 0 || span.From > AtMax || span.For > AtMax {
		return nil, fmt.Errorf("workload: a span from %s for %s; give 0 to %s", span.From, span.For, AtMax)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("workload: a trace: %w", err)
	}
	if kind == "" {
		if kind = kindOf(head); kind == "" {
			return nil, fmt.Errorf("workload: a trace of no known kind, beginning with %.60q; name the kind (%s), or give the first line of a CSV the names at,prompt,output",
				head, strings.Join(Kinds(), ", "))
		}
	}
	var out []Request
	switch kind {
	case "mooncake", "jsonl":
		out, err = readLines(in, kind)
	case "servegen":
		return readServeGen(in, span, seed)
	default:
		if !slices.Contains(Kinds(), kind) {
			return nil, fmt.Errorf("workload: a trace of kind %q is not known; it is one of %s", kind, strings.Join(Kinds(), ", "))
		}
		out, err = readTable(in, kind)
	}
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("workload: a trace of kind %s without a request", kind)
	}
	if out = span.cut(inOrder(out)); len(out) == 0 {
		return nil, fmt.Errorf("workload: no request of the trace comes from %s on for %s; give another span", span.From, span.For)
	}
	return out, nil
}

// kindOf tells a trace's kind by its beginning; empty where nothing fits.
func kindOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "servegen"
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")):
		line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte("\n"))
		if bytes.Contains(line, []byte(`"input_length"`)) {
			return "mooncake"
		}
		return "jsonl"
	}
	line, _, _ := strings.Cut(string(head), "\n")
	names := splitHead(line)
	for _, l := range layouts {
		if slices.Contains(names, l.at) && slices.Contains(names, l.prompt) {
			return l.kind
		}
	}
	return ""
}

func splitHead(line string) []string {
	names := strings.Split(strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\ufeff"), ",")
	for i := range names {
		names[i] = strings.Trim(strings.TrimSpace(names[i]), `"`)
	}
	return names
}

// ReadMooncake reads a trace of the Mooncake project: JSON lines of timestamp (ms), input_length, output_length and hash_ids, the ids
// of the prompt's blocks of 512 tokens, equal where all before is equal, too.
func ReadMooncake(r io.Reader) ([]Request, error) { return Read(r, "mooncake", Span{}, 0) }

// ReadAzure reads a trace of Azure's LLM inference. It tells nothing of what prompts share.
func ReadAzure(r io.Reader) ([]Request, error) { return Read(r, "azure", Span{}, 0) }

// record is a line of JSON, in either of the two kinds' names.
type record struct {
	At      *float64 `json:"at"`        // s
	AtMs    *float64 `json:"at_ms"`     // ms
	Stamp   *float64 `json:"timestamp"` // ms
	Prompt  *float64 `json:"prompt"`
	Input   *float64 `json:"input_length"`
	Output  *float64 `json:"output"`
	Length  *float64 `json:"output_length"`
	Hashes  []uint64 `json:"hash_ids"`
	Blocks  []uint64 `json:"blocks"`
	Block   int      `json:"block"`
	Tenant  string   `json:"tenant"`
	Class   string   `json:"class"`
	Session string   `json:"session"`
}

func readLines(r io.Reader, kind string) ([]Request, error) {
	var out []Request
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	n := 0
	fault := func(err error) error { return fmt.Errorf("workload: line %d of a %s trace: %w", n, kind, err) }
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l record
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fault(err)
		}
		q, err := l.request(kind)
		if err != nil {
			return nil, fault(err)
		}
		if out = append(out, q); len(out) > RequestsMax {
			return nil, fault(fmt.Errorf("more than %d requests; cut the file", RequestsMax))
		}
	}
	if err := lines.Err(); err != nil {
		n++
		return nil, fault(fmt.Errorf("%w; a line has %d bytes at most", err, lineMax))
	}
	return out, nil
}

func (l record) request(kind string) (Request, error) {
	q := Request{Tenant: l.Tenant, Class: l.Class, Session: l.Session, Blocks: l.Blocks, Block: l.Block}
	at, unit, atName := l.At, float64(time.Second), "at"
	prompt, output, promptName, outputName := l.Prompt, l.Output, "prompt", "output"
	if at == nil && l.AtMs != nil {
		at, unit, atName = l.AtMs, float64(time.Millisecond), "at_ms"
	}
	if kind == "mooncake" {
		at, unit, atName = l.Stamp, float64(time.Millisecond), "timestamp"
		prompt, output, promptName, outputName = l.Input, l.Length, "input_length", "output_length"
		if q.Blocks = l.Hashes; len(q.Blocks) > 0 {
			q.Block = MooncakeBlock
		}
	}
	switch {
	case at == nil || !(*at >= 0 && *at*unit <= float64(AtMax)):
		return q, fmt.Errorf("%s is %s; give 0 to %s in its unit", atName, told(at), AtMax)
	case prompt == nil || !(*prompt >= 1 && *prompt <= TokensMax):
		return q, fmt.Errorf("%s is %s; give 1 to %d tokens, a prompt is never empty", promptName, told(prompt), TokensMax)
	case output == nil || !(*output >= 0 && *output <= TokensMax):
		return q, fmt.Errorf("%s is %s; give 0 to %d tokens", outputName, told(output), TokensMax)
	case len(q.Blocks) > 0 && (q.Block < 1 || q.Block > TokensMax):
		return q, fmt.Errorf("block is %d; where there are blocks, give the tokens of one, 1 to %d", q.Block, TokensMax)
	}
	q.At, q.Prompt, q.Output = time.Duration(*at*unit), int(*prompt), max(int(*output), 1)
	return q, q.named()
}

func told(v *float64) string {
	if v == nil {
		return "missing"
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// named checks the names: they go into heads of HTTP and into tables.
func (q Request) named() error {
	for _, f := range []struct{ field, name string }{{"tenant", q.Tenant}, {"class", q.Class}, {"session", q.Session}} {
		if len(f.name) > NameMax {
			return fmt.Errorf("%s has %d bytes; give %d at most", f.field, len(f.name), NameMax)
		}
		if strings.ContainsFunc(f.name, unicode.IsControl) {
			return fmt.Errorf("%s is %q; give a name without control characters", f.field, f.name)
		}
	}
	return nil
}

// table is a CSV trace while it is read.
type table struct {
	layout
	column map[string]int
	began  time.Time // of dates
}

func readTable(r io.Reader, kind string) ([]Request, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord, rows.FieldsPerRecord = true, -1
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("workload: the first line of a %s trace: %w", kind, err)
	}
	t, err := newTable(kind, splitHead(strings.Join(head, ",")))
	if err != nil {
		return nil, err
	}
	var out []Request
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("workload: a %s trace: %w", kind, err)
		}
		line, _ := rows.FieldPos(0)
		q, err := t.request(row)
		if err == nil && len(out) == RequestsMax {
			err = fmt.Errorf("more than %d requests; cut the file", RequestsMax)
		}
		if err != nil {
			return nil, fmt.Errorf("workload: line %d of a %s trace: %w", line, kind, err)
		}
		out = append(out, q)
	}
}

func newTable(kind string, names []string) (*table, error) {
	column := map[string]int{}
	for i, name := range names {
		column[name] = i
	}
	missing := ""
	for _, l := range layouts {
		if l.kind != kind {
			continue
		}
		lacks := ""
		for _, need := range []string{l.output, l.prompt, l.at} {
			if _, ok := column[need]; !ok {
				lacks = need
			}
		}
		if lacks == "" {
			return &table{layout: l, column: column}, nil
		}
		if missing == "" || lacks != l.at {
			missing = lacks // where one of two layouts has the time, what it lacks is what to say
		}
	}
	return nil, fmt.Errorf("workload: line 1 of a %s trace has no column %s, but %s; name it there", kind, missing, strings.Join(names, ", "))
}

func (t *table) request(row []string) (q Request, err error) {
	field := func(name string) string {
		if i, ok := t.column[name]; name != "" && ok && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	if q.At, err = t.when(field(t.at)); err != nil {
		return q, fmt.Errorf("%s is %w", t.at, err)
	}
	if q.Prompt, err = whole(field(t.prompt), 0, TokensMax); err != nil {
		return q, fmt.Errorf("%s is %w", t.prompt, err)
	}
	if q.Output, err = whole(field(t.output), 0, TokensMax); err != nil {
		return q, fmt.Errorf("%s is %w", t.output, err)
	}
	q.Prompt, q.Output = max(q.Prompt, 1), max(q.Output, 1) // recorders write 0 for what failed
	q.Tenant, q.Class, q.Session = field(t.tenant), field(t.class), field(t.session)
	return q, q.named()
}

// when reads a time; dates count from the first one.
func (t *table) when(s string) (time.Duration, error) {
	if t.unit > 0 {
		v, err := number(s, 0, float64(AtMax)/float64(t.unit))
		return time.Duration(v * float64(t.unit)), err
	}
	at, err := time.Parse("2006-01-02 15:04:05.9999999", s)
	if err != nil {
		return 0, fmt.Errorf("%q; give a date as 2023-11-16 18:15:46.68", s)
	}
	if t.began.IsZero() {
		t.began = at
	}
	if at.Before(t.began) || at.Sub(t.began) > AtMax {
		return 0, fmt.Errorf("%q; give no earlier one than the first, and no later one than %s after it", s, AtMax)
	}
	return at.Sub(t.began), nil
}

// whole reads a whole number; a float that is one counts. The error goes on from "is".
func whole(s string, least, most int) (int, error) {
	v, err := number(s, float64(least), float64(most))
	if err != nil || v != math.Trunc(v) {
		return 0, fmt.Errorf("%q; give a whole number from %d to %d", s, least, most)
	}
	return int(v), nil
}

// number reads a number. The error goes on from "is".
func number(s string, least, most float64) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= least && v <= most) {
		return 0, fmt.Errorf("%q; give a number from %g to %g", s, least, most)
	}
	return v, nil
}
