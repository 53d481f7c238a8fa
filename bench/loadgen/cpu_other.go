//go:build !unix

package main

// selfCPU is not known here: the report's loadgen_cores is 0.
func selfCPU() float64 { return 0 }
