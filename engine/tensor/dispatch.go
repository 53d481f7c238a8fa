package tensor

// blocksAtOnce is how many blocks of 16 rows one tile takes for a panel of the given width when left remain.
func (s Set) blocksAtOnce(width, left int) int { return 1 }

// tile runs the integer kernel of s; see tileGo.
func (s Set) tile(f format, blocks, c int, w []byte, stride int, x []int8, fixes []fix, out []float32, groups int) {
	tileGo(f, blocks, c, w, stride, x, fixes, out, groups)
}
