// Package openai speaks OpenAI's wire formats both ways: request bodies of chat completions and completions become llm.Request,
// and llm.Event becomes chunks, answers and errors as OpenAI's SDKs read them. Where OpenAI has no word, vLLM's is used
// (stop_reason, prompt_logprobs, token ids, /tokenize), and llama.cpp's for /apply-template.
//
// Decoding is strict: every field that OpenAI or vLLM documents stands in a table written by hand and is either honoured, passed
// because it says what holds anyway, or refused by name with the fix; every other field is refused with the nearest known name.
// Nothing is ignored in silence. Every list, string and number has a bound.
//
// The package knows no HTTP, starts no goroutine, holds no lock and keeps nothing between calls; a Stream or an Answer belongs to
// one request. It imports llm, and an edit distance for the nearest name.
package openai
