// Package mini makes weir-mini, the model inside the binary: a Llama of less than two million parameters that this project
// trains itself, so that one command on a fresh machine answers from a real model. It holds the corpus (a generator, no text
// from elsewhere), the tasks that the model is taught and asked, the recipe that trains its tokenizer and its weights, the
// evaluation over any llm.Runner, and the trained weights themselves.
//
// Everything follows from a seed: the same seed gives the same corpus, the same tokenizer and the same examples at every step,
// so that a result can be made again. One question in ten is held out of training by a published rule (see HeldOut), and the
// evaluation asks only those.
//
// The package keeps no state between calls and owns no lock. Eval starts goroutines and waits for all of them before it
// returns; Train's threads belong to engine/train. It never reads the clock to decide anything and never touches the network.
package mini
