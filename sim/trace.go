package sim

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// Job is one request of a workload.
type Job struct {
	At      time.Duration // when it comes, from the beginning
	Prompt  int           // tokens
	Output  int           // tokens of its answer
	Blocks  []uint64      // chained hashes of the prompt's blocks; nil where no prompt is like another
	Session string        // empty for none
}

// MooncakeBlock is the tokens of one block of a Mooncake trace.
const MooncakeBlock = 512

// ReadMooncake reads a trace of the Mooncake project: JSON lines of timestamp (ms), input_length, output_length and hash_ids, the ids
// of the prompt's blocks of 512 tokens, equal where all before is equal, too.
func ReadMooncake(r io.Reader) ([]Job, error) {
	var jobs []Job
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var l struct {
			Timestamp float64  `json:"timestamp"`
			Input     int      `json:"input_length"`
			Output    int      `json:"output_length"`
			Hashes    []uint64 `json:"hash_ids"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("sim: line %d of a Mooncake trace: %w", n, err)
		}
		if l.Input < 1 || l.Output < 0 || l.Timestamp < 0 {
			return nil, fmt.Errorf("sim: line %d of a Mooncake trace: input_length %d, output_length %d, timestamp %g; "+
				"none may be negative, and a prompt is never empty", n, l.Input, l.Output, l.Timestamp)
		}
		jobs = append(jobs, Job{At: time.Duration(l.Timestamp * float64(time.Millisecond)), Prompt: l.Input, Output: max(l.Output, 1), Blocks: l.Hashes})
	}
	return inOrder(jobs), lines.Err()
}

// ReadAzure reads a trace of Azure's LLM inference: CSV of TIMESTAMP, ContextTokens and GeneratedTokens. It tells nothing of what
// prompts share.
func ReadAzure(r io.Reader) ([]Job, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("sim: an Azure trace: %w", err)
	}
	var jobs []Job
	var began time.Time
	for n, row := range rows {
		if n == 0 || len(row) < 3 {
			continue // the head
		}
		at, err := time.Parse("2006-01-02 15:04:05.9999999", row[0])
		if err != nil {
			return nil, fmt.Errorf("sim: line %d of an Azure trace: %w", n+1, err)
		}
		prompt, err := strconv.Atoi(row[1])
		if err != nil {
			return nil, fmt.Errorf("sim: line %d of an Azure trace: ContextTokens: %w", n+1, err)
		}
		output, err := strconv.Atoi(row[2])
		if err != nil {
			return nil, fmt.Errorf("sim: line %d of an Azure trace: GeneratedTokens: %w", n+1, err)
		}
		if began.IsZero() {
			began = at
		}
		jobs = append(jobs, Job{At: at.Sub(began), Prompt: max(prompt, 1), Output: max(output, 1)})
	}
	return inOrder(jobs), nil
}

func inOrder(jobs []Job) []Job {
	slices.SortStableFunc(jobs, func(a, b Job) int { return cmp.Compare(a.At, b.At) })
	return jobs
}

// Faster is the same jobs in a shorter time, times as many a second.
func Faster(jobs []Job, times float64) []Job {
	out := slices.Clone(jobs)
	for i := range out {
		out[i].At = time.Duration(float64(out[i].At) / times)
	}
	return out
}

// Flow says what Poisson makes: requests that nobody coordinates.
type Flow struct {
	Jobs   int
	Rate   float64 // a second
	Prompt int     // tokens at the median; a log-normal spread of a factor e^0.8 either way, as chats have
	Output int     // tokens at the median, spread likewise
	Seed   uint64
}

// Poisson makes a workload without a trace.
func Poisson(f Flow) []Job {
	rng := rand.New(rand.NewPCG(f.Seed, 1))
	length := func(median int) int { return max(1, int(float64(median)*math.Exp(0.8*rng.NormFloat64()))) }
	jobs := make([]Job, f.Jobs)
	at := 0.0
	for i := range jobs {
		at += rng.ExpFloat64() / f.Rate
		jobs[i] = Job{At: time.Duration(at * float64(time.Second)), Prompt: length(f.Prompt), Output: length(f.Output)}
	}
	return jobs
}

// Distinct is how many different blocks the jobs have.
func Distinct(jobs []Job) int {
	seen := map[uint64]bool{}
	for i := range jobs {
		for _, b := range jobs[i].Blocks {
			seen[b] = true
		}
	}
	return len(seen)
}
