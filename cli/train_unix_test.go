//go:build unix

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrainGoesOnAfterAKill ends a run with SIGKILL after its first checkpoint: the same command must then give the very model of a
// run that nobody disturbed, on another number of cores, too.
func TestTrainGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceDetector {
		t.Skip("training takes seconds, and minutes under the race detector")
	}
	dir := t.TempDir()
	args := func(name string, more ...string) []string {
		return append([]string{"train", "mini", "--preset", "nano", "--steps", "40", "--save", "4", "--out", filepath.Join(dir, name)}, more...)
	}
	killed := exec.Command(binary(t), args("killed.gguf", "--threads", "1")...)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join(dir, "killed.gguf.checkpoints", "checkpoint.weir")
	for _, err := os.Stat(checkpoint); err != nil; _, err = os.Stat(checkpoint) {
		time.Sleep(time.Millisecond)
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := killed.Wait(); err == nil || killed.ProcessState.Exited() {
		t.Fatalf("the run was over before it was killed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "killed.gguf")); err == nil {
		t.Fatal("a model was written")
	}
	if r := weir(t, "", args("killed.gguf", "--threads", "2")...); r.code != 0 || !strings.Contains(r.err, "going on from step ") {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	weir(t, "", args("whole.gguf")...).ok(t)
	one, err := os.ReadFile(filepath.Join(dir, "killed.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(dir, "whole.gguf"))
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("the weights differ from those of a run that was not killed, error %v", err)
	}
	points, err := readCurve(filepath.Join(dir, "killed.gguf.checkpoints", curveName))
	if err != nil || len(points) == 0 || points[len(points)-1].Step != 40 {
		t.Fatalf("the curve is %v, error %v", points, err)
	}
	for i, p := range points[1:] {
		if p.Step < points[i].Step {
			t.Errorf("the curve goes back from step %d to %d", points[i].Step, p.Step)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "killed.gguf.checkpoints", curvePicture)); err != nil || !bytes.Contains(svg, []byte("training weir-nano")) {
		t.Errorf("the picture is %.60q, error %v", svg, err)
	}
}

// TestTrainMakesAModelOfOnesOwn goes the way of docs/mini.md with fewer steps.
func TestTrainMakesAModelOfOnesOwn(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceDetector {
		t.Skip("training takes seconds, and minutes under the race detector")
	}
	dir := t.TempDir()
	talk := filepath.Join(dir, "ping.jsonl")
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, `{"messages":[{"role":"user","content":"ping %d"},{"role":"assistant","content":"pong"}]}`+"\n", i)
	}
	if err := os.WriteFile(talk, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "ping.gguf")
	r := weir(t, "", "train", talk, "--preset", "nano", "--steps", "60", "--out", out, "--json")
	result := decode[trainResult](t, r.ok(t))
	if result.Steps != 60 || result.Reached || result.Held == nil || result.Held.Asked == 0 || result.Held.Right != result.Held.Asked {
		t.Errorf("%+v", result)
	}
	if !strings.Contains(r.err, "200 conversations, ") || !strings.Contains(r.err, " held out") {
		t.Errorf("standard error: %s", r.err)
	}
	if answer := weir(t, "", "run", "-m", out, "ping 1000").ok(t); strings.TrimSpace(answer) != "pong" {
		t.Errorf("the model answers %q", answer)
	}
	bad := filepath.Join(dir, "bad.jsonl")
	if err := os.WriteFile(bad, []byte(`{"messages":[{"role":"assistant","content":"pong"}]}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	weir(t, "", "train", bad, "--out", filepath.Join(dir, "bad.gguf")).fails(t, exitUsage, "line 1")
	weir(t, "", "train", "mini", "--preset", "pico", "--out", out).fails(t, exitUsage, "preset", "nano")
}

func TestACurveForgetsWhatWillBeLivedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), curveName)
	var text strings.Builder
	for step := 1; step <= 5; step++ {
		_ = json.NewEncoder(&text).Encode(curvePoint{Step: step, Tokens: int64(100 * step), Loss: 1})
	}
	if err := os.WriteFile(path, []byte(text.String()+`{"step":6,"los`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := openCurve(path, 10, 3)
	if err != nil {
		t.Fatal(err)
	}
	c.add(curvePoint{Step: 4, Tokens: 444, Loss: 2})
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	points, err := readCurve(path)
	if err != nil || len(points) != 4 || points[3].Tokens != 444 {
		t.Errorf("%+v, error %v", points, err)
	}
	// A run from the beginning begins a curve of its own.
	if c, err = openCurve(path, 10, 0); err != nil || len(c.points) != 0 {
		t.Errorf("%+v, error %v", c, err)
	}
	_ = c.close()
}
