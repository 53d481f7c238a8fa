//go:build race

package model_test

// raceDetector: the plain Go kernels run a hundred times slower under the race detector, and they share nothing that the others
// do not share, so kernelSets leaves them out.
const raceDetector = true
