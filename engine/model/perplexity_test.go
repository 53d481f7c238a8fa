package model_test

import (
	"math"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/internal/testdata"
)

// TestPerplexity compares with llama.cpp on the same tokens: characters 20,000 to 36,000 of tinyshakespeare, in windows of BOS
// and 255 tokens, every one of the 255 predicted. The windows are twice the model's context, so most of the loss is there and
// an error of position or attention shows.
func TestPerplexity(t *testing.T) {
	t.Parallel()
	const windows, width = 19, 255
	text := []rune(string(testdata.Bytes(t, "text/tinyshakespeare.txt")))[20000:36000]
	check := func(file string, want float64) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f := open(t, "models/stories260K-"+file+".gguf")
			words, err := token.Load(f)
			if err != nil {
				t.Fatal(err)
			}
			bos, _ := words.BOS()
			ids := words.Encode(string(text), false, false)
			for name, set := range kernelSets(t) {
				m := load(t, f, model.Options{Set: set, Pool: newPool(t, 2), Activations: tensor.ActInt8, MaxContext: width + 1})
				loss := 0.0
				for w := range windows {
					window := append([]int32{bos}, ids[w*width:(w+1)*width]...)
					for i, logits := range newSequence(t, m, len(window)).feed(window, model.AllLogits)[:width] {
						loss -= logProb(logits, int(window[i+1]))
					}
				}
				got := math.Exp(loss / (windows * width))
				t.Logf("%s: %.3f, llama.cpp %.2f", name, got, want)
				if !(math.Abs(got/want-1) <= 0.005) {
					t.Errorf("%s: perplexity %.3f; llama.cpp's is %.2f", name, got, want)
				}
			}
		})
	}
	check("f32", 114.85)
	check("Q8_0", 115.06)
	check("Q4_0", 116.08)
}
