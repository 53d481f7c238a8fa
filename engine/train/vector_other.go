//go:build !amd64

package train

import "github.com/weir-ai/weir/engine/tensor"

func expSum(_ tensor.Set, x []float32, top float32) float32 { return expSumGo(x, top) }
func siluMul(_ tensor.Set, out, gate, up []float32)         { siluMulGo(out, gate, up) }
func siluMulBack(_ tensor.Set, gate, up, d []float32)       { siluMulBackGo(gate, up, d) }
