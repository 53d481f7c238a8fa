// Package kv keeps the books of the engine's key and value memory: which block belongs to how many sequences, which free
// block is taken next, and which block holds the keys and values of which tokens. It knows numbers of blocks only, never
// the floats inside them (engine/model holds those). A Pool has one owner, the engine's step loop: it has no goroutine, no
// lock, no clock and no randomness, so the same calls always give the same answers.
package kv
