// Package tensor computes: quantised formats, the matrix and vector kernels of the embedded engine, and the pool of workers
// that runs them. Every kernel exists as plain Go; the assembly for AVX2 and AVX-512 VNNI beside it is compared with that
// reference on random shapes. A Pool owns its worker goroutines and ends them in Close; nothing else here starts one, and a
// Matrix is immutable once made. The package knows shapes and numbers only: it never reads a file and never knows a model.
package tensor
