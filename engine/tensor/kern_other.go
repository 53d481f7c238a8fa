//go:build !amd64

package tensor

// Stand-ins for the assembly on architectures that have none. Detect never chooses another set than Go there, so a call is a
// mistake of the caller.

const noKernels = "tensor: this architecture has the go kernels only"

func quantTile(set Set, f format, blocks, c int, w *byte, stride int, x *int8, fixes *fix, out *float32, groups int) {
	panic(noKernels)
}
func denseTile(set Set, t Type, rows, c int, w *byte, wstride int, x *float32, xstride int, out *float32, k int) {
	panic(noKernels)
}
func quantizeAVX2(q *int8, scales *groupScale, x *float32, groups int) { panic(noKernels) }
func dotAVX2(a, b *float32, n int) float32                             { panic(noKernels) }
func axpyAVX2(dst, x *float32, s float32, n int)                       { panic(noKernels) }
func scaleAVX2(dst, x, w *float32, s float32, n int)                   { panic(noKernels) }
func siluAVX2(dst, x, w *float32, n int)                               { panic(noKernels) }
func expSumAVX2(x *float32, s float32, n int) float32                  { panic(noKernels) }
func largestAVX2(x *float32, n int) float32                            { panic(noKernels) }
func widenAVX2(dst *float32, src *uint16, n int)                       { panic(noKernels) }
func narrowAVX2(dst *uint16, src *float32, n int)                      { panic(noKernels) }
