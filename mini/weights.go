package mini

import _ "embed"

var (
	//go:embed weir-mini.gguf
	trainedMini []byte
	//go:embed weir-nano.gguf
	trainedNano []byte
)

// Names of the embedded models, the larger first.
func Names() []string { return []string{Name, NanoName} }

// Weights are an embedded model: the GGUF file that `weir train mini` wrote, with its tokenizer and chat template; ok is false for
// a name that is not among Names. The bytes are the program's own; nobody may change them.
func Weights(name string) (gguf []byte, ok bool) {
	switch name {
	case Name:
		return trainedMini, true
	case NanoName:
		return trainedNano, true
	}
	return nil, false
}
