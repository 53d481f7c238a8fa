// Package engine answers many requests at once with one model: Submit hands in tokens, Next reads the tokens that follow,
// and the step loop computes all of them together (continuous batching), a bounded number of tokens at a time. It knows
// tokens only, never text, chat or HTTP; DESIGN.md beside this file tells its shape and invariants.
//
// One goroutine owns all scheduling state: the caller of Run (or, in tests, of Step). It starts none itself. Submit, Cancel
// and Stats may be called from anywhere and touch only what engineShared guards; each Sequence is read by one goroutine of
// the caller's. The step loop never waits for a reader, and nothing here reads a file, logs or decides by chance: a request
// brings its seed, and its answer does not depend on who else is being served.
package engine
