package train

import "github.com/weir-ai/weir/engine/tensor"

//go:noescape
func expSumAVX2(x *float32, n int, top float32) float32

//go:noescape
func siluMulAVX2(out, gate, up *float32, n int)

//go:noescape
func siluMulBackAVX2(gate, up, d *float32, n int)

// vectors is the part of n values that the vector kernels of set take; AVX-512 machines use those for AVX2, because these loops
// are short beside the products.
func vectors(set tensor.Set, n int) int {
	if set == tensor.Go {
		return 0
	}
	return n &^ 7
}

// expSum replaces x by e^(x-top) and gives the sum.
func expSum(set tensor.Set, x []float32, top float32) float32 {
	n, sum := vectors(set, len(x)), float32(0)
	if n > 0 {
		sum = expSumAVX2(&x[0], n, top)
	}
	return sum + expSumGo(x[n:], top)
}

// siluMul is out = gate*sigmoid(gate)*up.
func siluMul(set tensor.Set, out, gate, up []float32) {
	up, out = up[:len(gate)], out[:len(gate)]
	n := vectors(set, len(gate))
	if n > 0 {
		siluMulAVX2(&out[0], &gate[0], &up[0], n)
	}
	siluMulGo(out[n:], gate[n:], up[n:])
}

// siluMulBack replaces gate and up by their gradients, given that of siluMul's result.
func siluMulBack(set tensor.Set, gate, up, d []float32) {
	up, d = up[:len(gate)], d[:len(gate)]
	n := vectors(set, len(gate))
	if n > 0 {
		siluMulBackAVX2(&gate[0], &up[0], &d[0], n)
	}
	siluMulBackGo(gate[n:], up[n:], d[n:])
}
