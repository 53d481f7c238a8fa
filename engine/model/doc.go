// Package model is the forward pass: one decoder with flags that computes Llama, Mistral, Qwen2 and Qwen3 from GGUF files and
// Hugging Face folders. Load reads the Spec, refuses what it cannot compute by name, checks every shape and leaves no tensor
// unused. Forward runs the new tokens of several sequences in one pass over a paged cache of keys and values.
//
// The rule of the package is batch invariance: the logits of a token have the same bits whatever else is in the batch, however
// its prompt was cut into chunks, whichever blocks hold its keys and values, and however many threads compute. So every token
// goes through the same operations in the same order: matrices promise it (see tensor.Matrix), attention reads keys and values
// only as the cache stores them, those of its own chunk too, its tiles start at absolute positions, and no sum is split over
// threads.
//
// A Model and its Caches have one owner, the engine's step loop; there is no lock. The package starts no goroutine: it borrows
// the workers of the tensor.Pool that it is given, and they are idle again when Forward returns. It never reads the clock or
// randomness, never samples, and never knows text.
package model
