package train

import "github.com/weir-ai/weir/engine/tensor"

// The kernels of vector_amd64.s, and beside each the function that gives it whole vectors and the rest to Go. See vector.go for
// what they compute.

//go:noescape
func expSumAVX2(x *float32, n int, top float32) float32

//go:noescape
func siluMulAVX2(out, gate, up *float32, n int)

//go:noescape
func siluMulBackAVX2(gate, up, d *float32, n int)

//go:noescape
func dotAVX2(a, b *float32, n int) float32

//go:noescape
func maxAVX2(x *float32, n int) float32

//go:noescape
func scaleAVX2(x *float32, n int, factor float32)

//go:noescape
func softmaxBackAVX2(d, p *float32, n int, mean float32)

//go:noescape
func normRowAVX2(out, x, w *float32, n int, scale float32)

//go:noescape
func normPartAVX2(part, grad, x, w *float32, n int, scale float32)

//go:noescape
func normRowBackAVX2(d, grad, x *float32, n int, scale, along float32)

//go:noescape
func turnAVX2(x, cos, sin *float32, n int, direction float32)

//go:noescape
func adamwAVX2(w, grad, mean, variance *float32, n int, c *adamwFactors)

// vectors is the part of n values that the vector kernels of set take; AVX-512 machines use those for AVX2, because these loops
// are short beside the products.
func vectors(set tensor.Set, n int) int {
	if set == tensor.Go {
		return 0
	}
	return n &^ 7
}

func expSum(set tensor.Set, x []float32, top float32) float32 {
	n, sum := vectors(set, len(x)), float32(0)
	if n > 0 {
		sum = expSumAVX2(&x[0], n, top)
	}
	return sum + expSumGo(x[n:], top)
}

func dot(set tensor.Set, a, b []float32) float32 {
	b = b[:len(a)]
	n, sum := vectors(set, len(a)), float32(0)
	if n > 0 {
		sum = dotAVX2(&a[0], &b[0], n)
	}
	return sum + dotGo(a[n:], b[n:])
}

func maximum(set tensor.Set, x []float32) float32 {
	n, top := vectors(set, len(x)), x[0]
	if n > 0 {
		top = maxAVX2(&x[0], n)
	}
	return maxGo(x[n:], top)
}

func softmaxBack(set tensor.Set, d, p []float32, mean float32) {
	p = p[:len(d)]
	n := vectors(set, len(d))
	if n > 0 {
		softmaxBackAVX2(&d[0], &p[0], n, mean)
	}
	softmaxBackGo(d[n:], p[n:], mean)
}

func normRow(set tensor.Set, out, x, w []float32, scale float32) {
	x, w = x[:len(out)], w[:len(out)]
	n := vectors(set, len(out))
	if n > 0 {
		normRowAVX2(&out[0], &x[0], &w[0], n, scale)
	}
	normRowGo(out[n:], x[n:], w[n:], scale)
}

func normPart(set tensor.Set, part, g, x, w []float32, scale float32) {
	g, x, w = g[:len(part)], x[:len(part)], w[:len(part)]
	n := vectors(set, len(part))
	if n > 0 {
		normPartAVX2(&part[0], &g[0], &x[0], &w[0], n, scale)
	}
	normPartGo(part[n:], g[n:], x[n:], w[n:], scale)
}

func normRowBack(set tensor.Set, d, g, x []float32, scale float32, along float32) {
	g, x = g[:len(d)], x[:len(d)]
	n := vectors(set, len(d))
	if n > 0 {
		normRowBackAVX2(&d[0], &g[0], &x[0], n, scale, along)
	}
	normRowBackGo(d[n:], g[n:], x[n:], scale, along)
}

func turn(set tensor.Set, x, cos, sin []float32, direction float32) {
	cos, sin = cos[:len(x)], sin[:len(x)]
	n := vectors(set, len(x))
	if n > 0 {
		turnAVX2(&x[0], &cos[0], &sin[0], n, direction)
	}
	turnGo(x[n:], cos[n:], sin[n:], direction)
}

func adamw(set tensor.Set, w, g, mean, variance []float32, c *adamwFactors) {
	g, mean, variance = g[:len(w)], mean[:len(w)], variance[:len(w)]
	n := vectors(set, len(w))
	if n > 0 {
		adamwAVX2(&w[0], &g[0], &mean[0], &variance[0], n, c)
	}
	adamwGo(w[n:], g[n:], mean[n:], variance[n:], c)
}

func siluMul(set tensor.Set, out, gate, up []float32) {
	gate, up = gate[:len(out)], up[:len(out)]
	n := vectors(set, len(out))
	if n > 0 {
		siluMulAVX2(&out[0], &gate[0], &up[0], n)
	}
	siluMulGo(out[n:], gate[n:], up[n:])
}

func siluMulBack(set tensor.Set, gate, up, d []float32) {
	up, d = up[:len(gate)], d[:len(gate)]
	n := vectors(set, len(gate))
	if n > 0 {
		siluMulBackAVX2(&gate[0], &up[0], &d[0], n)
	}
	siluMulBackGo(gate[n:], up[n:], d[n:])
}

func scale(set tensor.Set, x []float32, factor float32) {
	n := vectors(set, len(x))
	if n > 0 {
		scaleAVX2(&x[0], n, factor)
	}
	scaleGo(x[n:], factor)
}
