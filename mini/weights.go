package mini

import _ "embed"

//go:embed weir-mini.gguf
var trained []byte

// Weights are the published model: the GGUF file that `weir train weir-mini` wrote, with its tokenizer and chat template. The
// bytes are the program's own; nobody may change them.
func Weights() []byte { return trained }
