package train

import "math"

// Products are rounded before they are added (the conversions), so that every architecture gives the same.

// dot is a·b in four chains.
func dot(a, b []float32) float32 {
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

// exp is e^x to about 1e-7: x = k*ln2 + r with |r| <= ln2/2, a polynomial of r (Cephes expf), times 2^k. Below -87 it is 0 and
// above 88 it stops at e^88.
func exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	x = min(x, 88)
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
