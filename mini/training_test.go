package mini

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

func trainingOf(t *testing.T, o TrainOptions) *Training {
	t.Helper()
	p, err := PresetOf(o.Preset)
	if err != nil {
		t.Fatal(err)
	}
	r := &Training{Preset: p, apart: 1}
	if r.Trainer, r.Tokenizer, err = NewTrainer(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// perfect is a report that reaches every aim of a preset.
func perfect(p Preset) Report {
	var r Report
	for _, a := range p.aims {
		r.Tasks = append(r.Tasks, Score{Task: a.Task, Rate: a.Rate})
	}
	r.Overall = Score{Task: overallTask, Rate: 0.99}
	return r
}

func TestTrainingEndsWhereItsAimsAreReached(t *testing.T) {
	t.Parallel()
	o := TrainOptions{Preset: "nano", Steps: 20, Dir: t.TempDir()}
	r := trainingOf(t, o)
	var judged []int
	r.Judged = func(step int, _ Report) { judged = append(judged, step) }
	r.Judge = func(_ context.Context, gguf []byte, o EvalOptions) (Report, error) {
		if !bytes.HasPrefix(gguf, []byte("GGUF")) || o.Seed == 0 || o.Seed == fixedSuite {
			t.Errorf("judged is %.8q with the suite of seed %d", gguf, o.Seed)
		}
		if r.Step() < 3 {
			return Report{}, nil
		}
		return perfect(r.Preset), nil
	}
	if reached, err := r.Run(t.Context(), nil); !reached || err != nil || r.Step() != 3 || len(judged) != 3 {
		t.Fatalf("reached %v after step %d, judged %v, error %v", reached, r.Step(), judged, err)
	}
	// The same run again finds its checkpoint, is judged and is over.
	again := trainingOf(t, o)
	again.Judge = r.Judge
	if reached, err := again.Run(t.Context(), nil); !reached || err != nil || again.Step() != 3 {
		t.Errorf("reached %v after step %d, error %v", reached, again.Step(), err)
	}
	// Without a judge it goes on to its end; one that fails ends it.
	again.Judge = nil
	if reached, err := again.Run(t.Context(), nil); reached || err != nil || again.Step() != 20 {
		t.Errorf("reached %v after step %d, error %v", reached, again.Step(), err)
	}
	failing := trainingOf(t, TrainOptions{Preset: "nano", Steps: 2})
	failing.Judge = func(context.Context, []byte, EvalOptions) (Report, error) { return Report{}, errors.New("no engine") }
	if _, err := failing.Run(t.Context(), nil); err == nil {
		t.Error("a judge that fails is not heard")
	}
}

func TestEqualSeedsTrainEqualWeights(t *testing.T) {
	t.Parallel()
	weights := func(seed uint64, threads, pause int) []byte {
		r := trainingOf(t, TrainOptions{Preset: "nano", Steps: 6, Seed: seed, Threads: threads})
		if err := r.RunTo(t.Context(), pause, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Export(&b, NanoName, tensor.F32, r.Trainer, r.Tokenizer); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one := weights(5, 1, 6)
	if !bytes.Equal(one, weights(5, 2, 3)) {
		t.Error("one seed gives two models")
	}
	if bytes.Equal(one, weights(6, 1, 6)) {
		t.Error("two seeds give one model")
	}
}

func TestMissedNamesEveryAim(t *testing.T) {
	t.Parallel()
	tasks := map[string]bool{overallTask: true}
	for _, task := range Tasks() {
		tasks[task.Name] = true
	}
	for _, p := range Presets() {
		r := perfect(p)
		if missed := p.Missed(r); len(missed) > 0 {
			t.Errorf("%s: a perfect report misses %q", p.Name, missed)
		}
		if missed := p.Missed(Report{}); len(missed) != len(p.aims) {
			t.Errorf("%s: an empty report misses %q", p.Name, missed)
		}
		for _, a := range p.aims {
			if !tasks[a.Task] {
				t.Errorf("%s: there is no task %s to reach", p.Name, a.Task)
			}
		}
	}
}

// TestTheModelsAreAsSmallAsTold holds the bounds of the built-in models.
func TestTheModelsAreAsSmallAsTold(t *testing.T) {
	t.Parallel()
	bytes, work := 0, map[string]int{}
	for _, name := range Names() {
		gguf, ok := Weights(name)
		if !ok {
			t.Fatalf("%s is not embedded", name)
		}
		p, err := PresetOf(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := p.shape
		shape.Vocab = vocabularySize
		bytes, work[name] = bytes+len(gguf), shape.Params()
	}
	if bytes >= 4_000_000 || work[Name] > 2_000_000 || 5*work[NanoName] > work[Name] {
		t.Errorf("%d bytes, %v parameters", bytes, work)
	}
	if _, ok := Weights("weir-pico"); ok {
		t.Error("there is a model that nobody trained")
	}
}
