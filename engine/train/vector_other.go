//go:build !amd64

package train

import "github.com/weir-ai/weir/engine/tensor"

func expSum(_ tensor.Set, x []float32, top float32) float32         { return expSumGo(x, top) }
func dot(_ tensor.Set, a, b []float32) float32                      { return dotGo(a, b) }
func maximum(_ tensor.Set, x []float32) float32                     { return maxGo(x, x[0]) }
func softmaxBack(_ tensor.Set, d, p []float32, mean float32)        { softmaxBackGo(d, p, mean) }
func normRow(_ tensor.Set, out, x, w []float32, scale float32)      { normRowGo(out, x, w, scale) }
func normPart(_ tensor.Set, part, g, x, w []float32, scale float32) { normPartGo(part, g, x, w, scale) }
func normRowBack(_ tensor.Set, d, g, x []float32, scale float32, along float32) {
	normRowBackGo(d, g, x, scale, along)
}
func turn(_ tensor.Set, x, cos, sin []float32, direction float32) { turnGo(x, cos, sin, direction) }
func adamw(_ tensor.Set, w, g, mean, variance []float32, c *adamwFactors) {
	adamwGo(w, g, mean, variance, c)
}
func siluMul(_ tensor.Set, out, gate, up []float32)   { siluMulGo(out, gate, up) }
func siluMulBack(_ tensor.Set, gate, up, d []float32) { siluMulBackGo(gate, up, d) }
func scale(_ tensor.Set, x []float32, factor float32) { scaleGo(x, factor) }
