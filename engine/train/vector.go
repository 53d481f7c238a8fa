package train

import "math"

// The row-wise parts of a step in plain Go: the reference for the vector kernels, and what runs elsewhere. Products are rounded
// before they are added (the conversions), so that every architecture gives the same.

// dotGo is a·b in four chains.
func dotGo(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y := a[i:i+4:i+4], b[i:i+4:i+4]
		s0 += float32(x[0] * y[0])
		s1 += float32(x[1] * y[1])
		s2 += float32(x[2] * y[2])
		s3 += float32(x[3] * y[3])
	}
	for ; i < len(a); i++ {
		s0 += float32(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// add is dst += x.
func add(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// maxGo is the largest of x and low.
func maxGo(x []float32, low float32) float32 {
	for _, v := range x {
		low = max(low, v)
	}
	return low
}

// scaleGo is x *= factor.
func scaleGo(x []float32, factor float32) {
	for i := range x {
		x[i] *= factor
	}
}

// softmaxBackGo turns d, the gradient of probabilities p, into that of their logits: p*(d - p·d), with mean = p·d.
func softmaxBackGo(d, p []float32, mean float32) {
	d = d[:len(p)]
	for i, v := range p {
		d[i] = v * (d[i] - mean)
	}
}

// normRowGo is out = x*scale*w.
func normRowGo(out, x, w []float32, scale float32) {
	x, w = x[:len(out)], w[:len(out)]
	for i := range out {
		out[i] = float32(x[i]*scale) * w[i]
	}
}

// normPartGo adds a row's gradient of the norm's weights, g*x*scale, to part, and makes g the gradient of the normalised row, g*w.
func normPartGo(part, g, x, w []float32, scale float32) {
	g, x, w = g[:len(part)], x[:len(part)], w[:len(part)]
	for i, v := range g {
		part[i] += float32(float32(v*x[i]) * scale)
		g[i] = v * w[i]
	}
}

// normRowBackGo is d += g*scale - x*along.
func normRowBackGo(d, g, x []float32, scale, along float32) {
	g, x = g[:len(d)], x[:len(d)]
	for i := range d {
		d[i] += float32(g[i]*scale) - float32(x[i]*along)
	}
}

// turnGo turns pairs of x: (a, b) becomes (a*cos - b*sin, b*cos + a*sin). cos has each value twice, sin with both signs, minus
// first; direction -1 turns back.
func turnGo(x, cos, sin []float32, direction float32) {
	cos, sin = cos[:len(x)], sin[:len(x)]
	for i := 0; i+1 < len(x); i += 2 {
		a, b := x[i], x[i+1]
		x[i] = float32(a*cos[i]) + float32(float32(b*sin[i])*direction)
		x[i+1] = float32(b*cos[i+1]) + float32(float32(a*sin[i+1])*direction)
	}
}

// adamwFactors are a step's constants for one chunk.
type adamwFactors struct {
	clip          float32 // times the gradient
	beta1, fresh1 float32 // fresh is 1-beta
	beta2, fresh2 float32
	size, spread  float32 // rate and the corrections of means that began at zero
	decay         float32 // rate times Config.Decay
	epsilon       float32 // keeps from dividing by zero
}

// adamwGo moves w by one step and clears g.
func adamwGo(w, g, mean, variance []float32, c *adamwFactors) {
	g, mean, variance = g[:len(w)], mean[:len(w)], variance[:len(w)]
	for i, x := range w {
		d := g[i] * c.clip
		m := float32(mean[i]*c.beta1) + float32(d*c.fresh1)
		v := float32(variance[i]*c.beta2) + float32(float32(d*d)*c.fresh2)
		mean[i], variance[i], g[i] = m, v, 0
		root := float32(math.Sqrt(float64(v * c.spread)))
		w[i] = x - float32(x*c.decay) - float32(m*c.size)/(root+c.epsilon)
	}
}

// exp is e^x to about 1e-7: x = k*ln2 + r with |r| <= ln2/2, a polynomial of r (Cephes expf), times 2^k. x is held within -87
// and 88, where 2^k is a normal number.
func exp(x float32) float32 {
	x = min(max(x, -87), 88)
	const magic = 3 << 22 // adding it rounds to an integer, which is then in the low bits
	k := float32(x*1.44269504) + magic
	bits := math.Float32bits(k)
	k -= magic
	r := x - float32(k*0.693359375) - float32(k*-2.12194440e-4)
	p := float32(1.9875691500e-4*r) + 1.3981999507e-3
	p = float32(p*r) + 8.3334519073e-3
	p = float32(p*r) + 4.1665795894e-2
	p = float32(p*r) + 1.6666665459e-1
	p = float32(p*r) + 5.0000001201e-1
	p = float32(float32(p*r)*r) + r + 1
	return p * math.Float32frombits((bits+127)<<23)
}

// expSumGo replaces x by e^(x-top) and gives the sum.
func expSumGo(x []float32, top float32) float32 {
	var sum float32
	for i, v := range x {
		e := exp(v - top)
		x[i] = e
		sum += e
	}
	return sum
}

// siluMulGo is out = gate*sigmoid(gate)*up.
func siluMulGo(out, gate, up []float32) {
	up, out = up[:len(gate)], out[:len(gate)]
	for i, g := range gate {
		out[i] = g / (1 + exp(-g)) * up[i]
	}
}

// siluMulBackGo replaces gate and up by their gradients, given that of siluMul's result.
func siluMulBackGo(gate, up, d []float32) {
	up, d = up[:len(gate)], d[:len(gate)]
	for i, g := range gate {
		s := 1 / (1 + exp(-g))
		u := up[i]
		up[i] = d[i] * g * s
		gate[i] = d[i] * u * s * (1 + float32(g*(1-s)))
	}
}
