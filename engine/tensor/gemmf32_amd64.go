package tensor

// The micro-kernels of gemmf32_amd64.s: for count panels of A, aNext bytes apart, C (mr, nr) = alpha*A*B, or += if add is not 0,
// with A (mr, k) at strides of rs and cs bytes, B (k, nr) without gaps and rows of C ldc bytes apart. Panels follow each other
// in C.

//go:noescape
func gemmPanelAVX2(k int, a *float32, rs, cs int, b, c *float32, ldc int, alpha float32, add int32, count, aNext int)

//go:noescape
func gemmPanelAVX512(k int, a *float32, rs, cs int, b, c *float32, ldc int, alpha float32, add int32, count, aNext int)

// gemmCopy16 and gemmCopy6 copy rows of 16 or 6 values; strides are bytes. Go's copy of so few calls memmove for each.

//go:noescape
func gemmCopy16(dst *float32, dstStride int, src *float32, srcStride, rows int)

//go:noescape
func gemmCopy6(dst *float32, dstStride int, src *float32, srcStride, rows int)

// gemmShape is the register block (mr, nr) of s. 6 x 16 are 12 of AVX2's 16 registers, which leaves two for B and two for A, and
// 12 independent chains hide a latency of 4 to 5 cycles on two units; 12 x 32 are 24 of AVX-512's 32.
func (s Set) gemmShape() (mr, nr int) {
	switch s {
	case AVX512:
		return 12, 32
	case AVX2:
		return 6, 16
	}
	return gemmGoRows, gemmGoCols
}

// gemmPanel runs the micro-kernel of s for count panels of A, next values apart, and one panel of B; k and count are at least 1.
func (s Set) gemmPanel(k int, a []float32, rs, cs int, b, c []float32, ldc int, alpha float32, add bool, count, next int) {
	var sum int32
	if add {
		sum = 1
	}
	switch s {
	case AVX512:
		gemmPanelAVX512(k, &a[0], rs*4, cs*4, &b[0], &c[0], ldc*4, alpha, sum, count, next*4)
	case AVX2:
		gemmPanelAVX2(k, &a[0], rs*4, cs*4, &b[0], &c[0], ldc*4, alpha, sum, count, next*4)
	default:
		gemmPanelGo(k, a, rs, cs, b, c, ldc, alpha, add, count, next)
	}
}

// gemmPackRows copies k rows of width values, ld apart, to rows of pad values, with zeros behind them.
func (s Set) gemmPackRows(dst, src []float32, ld, k, width, pad int) {
	if s == Go || width != pad {
		gemmPackRowsGo(dst, src, ld, k, width, pad)
		return
	}
	_, _ = dst[k*pad-1], src[(k-1)*ld+width-1]
	for i := 0; i < width && pad%16 == 0; i += 16 {
		gemmCopy16(&dst[i], pad*4, &src[i], ld*4, k)
	}
	for i := 0; i < width && pad%16 != 0; i += 6 {
		gemmCopy6(&dst[i], pad*4, &src[i], ld*4, k)
	}
}
