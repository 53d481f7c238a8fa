//go:build !amd64

package tensor

func (s Set) gemmShape() (mr, nr int) { return gemmGoRows, gemmGoCols }

func (s Set) gemmPanel(k int, a []float32, rs, cs int, b, c []float32, ldc int, alpha float32, add bool, count, next int) {
	gemmPanelGo(k, a, rs, cs, b, c, ldc, alpha, add, count, next)
}

func (s Set) gemmPackRows(dst, src []float32, ld, k, width, pad int) {
	gemmPackRowsGo(dst, src, ld, k, width, pad)
}
