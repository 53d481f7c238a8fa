package tensor

//go:generate go run ./gen
