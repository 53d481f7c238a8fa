package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const childFolder = "WEIR_STORE_CHILD" // the data folder of a child process

// TestKilled kills a process in the middle of its writes, again and again on the same folder. Everything that it had acknowledged is
// there afterwards, and nothing is there by half. WEIR_STORE_SEED repeats a run, WEIR_STORE_ROUNDS makes it longer.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childFolder); dir != "" {
		child(t, dir)
		return
	}
	t.Parallel()
	seed, rounds := number("WEIR_STORE_SEED", rand.Uint64()%1e6), number("WEIR_STORE_ROUNDS", 6)
	t.Logf("WEIR_STORE_SEED=%d WEIR_STORE_ROUNDS=%d", seed, rounds)
	r := rand.New(rand.NewPCG(seed, 0))
	dir, acknowledged := t.TempDir(), map[int]bool{}
	for round := range rounds {
		killOnce(t, dir, int(round), 1+r.IntN(2000), acknowledged)
		if missing, err := checkPairs(dir, acknowledged); missing != 0 || err != nil {
			t.Fatalf("round %d: %d of %d acknowledged pairs are missing; %v", round, missing, len(acknowledged), err)
		}
	}
	if len(acknowledged) < int(rounds) {
		t.Errorf("only %d writes were acknowledged in %d rounds", len(acknowledged), rounds)
	}
}

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// killOnce starts a child and kills it after so many acknowledgements.
func killOnce(t *testing.T, dir string, round, after int, acknowledged map[int]bool) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.timeout=1m")
	c.Env = append(os.Environ(), childFolder+"="+dir, fmt.Sprintf("WEIR_STORE_FIRST=%d", round*10_000_000))
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines, heard := bufio.NewScanner(out), 0
	for lines.Scan() { // after the kill too: what was acknowledged then is still in the pipe
		text, ok := strings.CutPrefix(lines.Text(), "ack ")
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			complaints.WriteString(lines.Text() + "\n")
			continue
		}
		acknowledged[n] = true
		if heard++; heard == after {
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Wait(); err == nil || heard < after {
		t.Fatalf("the child ended by itself after %d of %d: %s", heard, after, complaints.String())
	}
}

// child writes pairs of rows from many goroutines, and tells each on standard output once it is acknowledged, until it is killed.
func child(t *testing.T, dir string) {
	s := open(t, dir, Options{})
	if err := makePairs(s); err != nil {
		t.Fatal(err)
	}
	first := int(number("WEIR_STORE_FIRST", 0))
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for n := first + g; ; n += 32 {
				if err := s.write(context.Background(), pair(n)); err != nil {
					t.Error(err)
					return
				}
				_, _ = fmt.Fprintf(os.Stdout, "ack %d\n", n) // one short write, whole or not at all
			}
		})
	}
	wg.Wait()
}

func makePairs(s *Store) error {
	return s.write(context.Background(), func(t *tx) error {
		for _, name := range []string{"one", "two"} {
			if _, err := t.exec("CREATE TABLE IF NOT EXISTS " + name + " (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT"); err != nil {
				return err
			}
		}
		return nil
	})
}

// pair writes n into both tables.
func pair(n int) func(*tx) error {
	body := bodyOf(n)
	return func(t *tx) error {
		if _, err := t.exec("INSERT INTO one (n, body) VALUES (?, ?)", n, body); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO two (n, body) VALUES (?, ?)", n, body)
		return err
	}
}

// checkPairs opens the folder, which also checks the whole file, counts the acknowledged pairs that are missing, and finds every pair
// whole.
func checkPairs(dir string, acknowledged map[int]bool) (missing int, err error) {
	s, err := Open(dir, Options{})
	if err != nil {
		return 0, fmt.Errorf("not to be opened after the end: %w", err)
	}
	defer func() { _ = s.Close() }()
	found := map[int]int{}
	for bit, name := range []string{"one", "two"} {
		if err := s.each(context.Background(), "SELECT n, body FROM "+name, func(rows *sql.Rows) error {
			var n int
			var body string
			err := rows.Scan(&n, &body)
			if body != bodyOf(n) {
				return fmt.Errorf("row %d has another's body: %q, %w", n, body, err)
			}
			found[n] |= 1 << bit
			return err
		}); err != nil {
			return 0, err
		}
	}
	for n, halves := range found {
		if halves != 3 {
			return 0, fmt.Errorf("half of pair %d is there", n)
		}
	}
	for n := range acknowledged {
		if found[n] != 3 {
			missing++
		}
	}
	return missing, nil
}

func bodyOf(n int) string { return strings.Repeat(strconv.Itoa(n)+" ", 20) }
