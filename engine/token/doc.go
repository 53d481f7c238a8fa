// Package token turns text into the numbers a model reads, and a model's numbers back into text. It holds the four kinds of
// tokenizer that language models use: byte-level BPE, SentencePiece BPE, Unigram and WordPiece; it reads them from GGUF
// metadata, from tokenizer.json and from tokenizer.model, and trains byte-level BPE for models of our own.
//
// The whole way of a text: added tokens ("<|im_end|>") are cut out first; each stretch between them is normalised, cut into
// words by the pre-tokenizer, and every word becomes ids by the model's merge rules. A vocabulary whose rules this package
// does not know exactly is refused by name, because a guess gives a model that answers almost well.
//
// A Tokenizer is immutable once built and may be used by any number of goroutines; a Stream belongs to one. The package
// starts no goroutine, holds no lock and writes no file. Malformed input is an error that names what is wrong, never a panic,
// and never costs more memory than the file itself explains.
package token
