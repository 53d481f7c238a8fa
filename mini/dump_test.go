package mini

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/weir-ai/weir/engine/train"
)

// dumpSteps is how many steps a dump holds: 170,000 tokens, enough for the corpus's spread of lengths, in 2 MB of JSON.
const dumpSteps = 100

// TestDump writes the first batches of weir-mini's corpus, with a preset's shape and hyperparameters.
func TestDump(t *testing.T) {
	t.Parallel()
	file, preset := os.Getenv("WEIR_DUMP"), os.Getenv("WEIR_PRESET")
	if file == "" {
		t.Skip("set WEIR_DUMP to the absolute path of the JSON file to write, and WEIR_PRESET to mini or nano, to dump batches of the corpus")
	}
	trainer, tok, err := NewTrainer(TrainOptions{Preset: preset, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	src, err := Source(tok, 1)
	if err != nil {
		t.Fatal(err)
	}
	// Steps and Warmup are of a short run in which speed does not depend on them; the rest are engine/train's defaults.
	var dump struct {
		Config train.Config
		Steps  [][]train.Example
	}
	dump.Config = train.Config{Shape: trainer.Shape(), Steps: 10_000, Warmup: 200, Seed: 1,
		Rate: 2e-3, Final: 0.05, Beta1: 0.9, Beta2: 0.95, Decay: 0.1, Clip: 1}
	for i := range dumpSteps {
		dump.Steps = append(dump.Steps, src.Next(i, nil))
	}
	text, err := json.Marshal(dump)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
