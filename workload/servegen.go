package workload

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// serveGenBytes bounds what a ServeGen archive unpacks to; the largest that is published has 13 MB.
	serveGenBytes = 512 << 20
	// serveGenClients bounds the clients of an archive; the largest that is published has 2,000 or so.
	serveGenClients = 10_000
	// shapeMin is the least shape of a distribution of gaps: below it, nearly all of a window would come at one moment.
	shapeMin = 0.01
	// serveGenWindow is how long a rate holds.
	serveGenWindow = 10 * time.Minute
)

// client is one of ServeGen's: how often it asks in each window of a day and how long its prompts and answers are. Alibaba published
// the distributions and not the requests.
type client struct {
	name    string
	windows []gapWindow
	lengths []lengthWindow // in the order of from
}

// gapWindow is a window's distribution of the time between two requests.
type gapWindow struct {
	from   time.Duration
	rate   float64 // a second
	family string  // Gamma or Weibull; empty is a Poisson process
	shape  float64
}

// lengthWindow is the distributions of lengths from a time on.
type lengthWindow struct {
	from          time.Duration
	input, output density
}

// density is a distribution over whole numbers, as sums.
type density struct {
	values []int
	upTo   []float64
}

func (d density) draw(rng *rand.Rand) int {
	x := rng.Float64()
	if len(d.values) == 0 {
		return 1
	}
	at, _ := slices.BinarySearch(d.upTo, x*d.upTo[len(d.upTo)-1])
	return max(1, d.values[min(at, len(d.values)-1)])
}

// readServeGen unpacks the clients and draws their requests in the span. A client's number in the archive is its tenant's name.
func readServeGen(r io.Reader, span Span, seed uint64) ([]Request, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("workload: a servegen trace: %w; give the tar.gz of one of its models", err)
	}
	clients := map[string]*client{}
	files := tar.NewReader(io.LimitReader(unpacked, serveGenBytes))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("workload: a servegen trace: %w; it unpacks to %d MB at most", err, serveGenBytes>>20)
		}
		if err := readClient(clients, path.Base(h.Name), files); err != nil {
			return nil, fmt.Errorf("workload: %s of a servegen trace: %w", h.Name, err)
		}
	}
	var out []Request
	for _, c := range clients {
		if out, err = c.requests(out, span, seed); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("workload: %d clients of a servegen trace ask for nothing from %s on for %s; give another span", len(clients), span.From, span.For)
	}
	// The map's order must not show: equal times are in the order of names.
	slices.SortStableFunc(out, func(a, b Request) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Tenant, b.Tenant)) })
	return out, nil
}

// readClient reads chunk-N-trace.csv or chunk-N-dataset.json; other files are passed over.
func readClient(clients map[string]*client, name string, r io.Reader) error {
	rest, ok := strings.CutPrefix(name, "chunk-")
	if !ok {
		return nil
	}
	number, what, _ := strings.Cut(rest, "-")
	if what != "trace.csv" && what != "dataset.json" {
		return nil
	}
	if clients[number] == nil {
		if len(clients) == serveGenClients {
			return fmt.Errorf("more than %d clients", serveGenClients)
		}
		clients[number] = &client{name: number}
	}
	if what == "trace.csv" {
		return clients[number].readGaps(r)
	}
	return clients[number].readLengths(r)
}

func (c *client) readGaps(r io.Reader) error {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = 6
	for n := 1; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var v [6]float64
		for _, i := range []int{0, 1, 2, 4, 5} {
			if v[i], err = number(row[i], 0, 1e9); err != nil {
				return fmt.Errorf("line %d: column %d is %w", n, i+1, err)
			}
		}
		w := gapWindow{from: time.Duration(v[0]) * time.Second, rate: v[1], family: row[3], shape: v[4]}
		switch {
		case w.family != "" && w.family != "Gamma" && w.family != "Weibull":
			return fmt.Errorf("line %d: family is %q; known are Gamma and Weibull", n, w.family)
		case w.rate > RateMax:
			return fmt.Errorf("line %d: rate is %g; give %g at most", n, w.rate, RateMax)
		case w.family != "" && !(w.shape > shapeMin):
			return fmt.Errorf("line %d: %s of shape %g; give more than %g", n, w.family, w.shape, shapeMin)
		}
		c.windows = append(c.windows, w)
	}
}

func (c *client) readLengths(r io.Reader) error {
	var windows map[string]struct {
		Input  string `json:"input_tokens"`
		Output string `json:"output_tokens"`
	}
	if err := json.NewDecoder(r).Decode(&windows); err != nil {
		return err
	}
	for key, w := range windows {
		from, err := number(key, 0, AtMax.Seconds())
		if err != nil {
			return fmt.Errorf("a window begins at %w", err)
		}
		l := lengthWindow{from: time.Duration(from * float64(time.Second))}
		if l.input, err = parseDensity(w.Input); err != nil {
			return fmt.Errorf("input_tokens from %s: %w", key, err)
		}
		if l.output, err = parseDensity(w.Output); err != nil {
			return fmt.Errorf("output_tokens from %s: %w", key, err)
		}
		if len(l.input.values) > 0 && len(l.output.values) > 0 {
			c.lengths = append(c.lengths, l)
		}
	}
	slices.SortFunc(c.lengths, func(a, b lengthWindow) int { return cmp.Compare(a.from, b.from) })
	return nil
}

// parseDensity reads a distribution as Python prints a dictionary: {45: 0.0096, 46: 0.0117}.
func parseDensity(s string) (density, error) {
	var d density
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "{"), "}")
	sum := 0.0
	for pair := range strings.SplitSeq(s, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		value, part, _ := strings.Cut(pair, ":")
		v, err := number(strings.TrimSpace(value), 0, TokensMax)
		if err != nil {
			return d, fmt.Errorf("a length is %w", err)
		}
		p, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(p >= 0) || math.IsInf(p, 0) {
			return d, fmt.Errorf("the part of %s is %q; give a number of 0 or more", value, part)
		}
		if p > 0 {
			sum += p
			d.values, d.upTo = append(d.values, int(v)), append(d.upTo, sum)
		}
	}
	return d, nil
}

// requests appends the client's in the span. Each client has a stream of its own from the seed, so that one does not shift another.
func (c *client) requests(out []Request, span Span, seed uint64) ([]Request, error) {
	rng := rand.New(rand.NewPCG(seed, hashOf(c.name, 4)))
	for _, w := range c.windows {
		end := w.from + serveGenWindow
		if w.rate <= 0 || end <= span.From || span.For > 0 && w.from >= span.From+span.For {
			continue
		}
		at := w.from.Seconds() + rng.Float64()*w.gap(rng) // somewhere inside a gap, or all clients would begin a window together
		for ; at < end.Seconds(); at += w.gap(rng) {
			t := time.Duration(at * float64(time.Second))
			if t < span.From || span.For > 0 && t >= span.From+span.For {
				continue
			}
			l := c.lengthsAt(t)
			if len(out) == RequestsMax {
				return nil, fmt.Errorf("workload: a servegen trace of more than %d requests; cut it with a span", RequestsMax)
			}
			out = append(out, Request{At: t - span.From, Prompt: l.input.draw(rng), Output: l.output.draw(rng), Tenant: c.name})
		}
	}
	return out, nil
}

func (c *client) lengthsAt(t time.Duration) lengthWindow {
	var l lengthWindow
	for i, w := range c.lengths {
		if i > 0 && w.from > t {
			break
		}
		l = w
	}
	return l
}

// gapMin keeps a distribution near 0 from never coming to an end, in seconds.
const gapMin = 1e-6

// gap draws the seconds until the next request. The published scales were fitted and miss the rates that were counted by a tenth where
// a client comes in bursts; the rate is what counts here, so the mean is set by it and the shape decides the bursts.
func (w gapWindow) gap(rng *rand.Rand) float64 {
	switch w.family {
	case "Gamma":
		return max(gapMin, gamma(rng, w.shape)/w.shape/w.rate)
	case "Weibull":
		return max(gapMin, math.Pow(rng.ExpFloat64(), 1/w.shape)/math.Gamma(1+1/w.shape)/w.rate)
	}
	return max(gapMin, rng.ExpFloat64()/w.rate)
}

// gamma draws from a Gamma distribution of scale 1 (Marsaglia and Tsang, 2000; a shape below 1 is drawn one higher and pulled down).
func gamma(rng *rand.Rand, shape float64) float64 {
	pull := 1.0
	if shape < 1 {
		pull = math.Pow(1-rng.Float64(), 1/shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return pull * d * v
		}
	}
}
