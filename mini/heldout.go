package mini

import (
	"hash/fnv"
	"strings"
)

// salt is chosen so that 17 and 25, the README's question, are held out: its answer shows a skill and not a memory.
const salt = "weir-mini/16"

// heldOneIn says how much is held out. One in ten leaves enough to ask (about 500 pairs of operands) and takes little from
// the training; one in a hundred would make the evaluation's intervals wide.
const heldOneIn = 10

// HeldOut is the published rule for what the model is never taught: the FNV-1a hash (64 bits) of the salt, a slash and the
// question's key is a multiple of ten. Keys:
//
//   - For a question with operands, the operands in ascending order, whatever the wording and whatever the operation: "17,25"
//     for 17 + 25, for 25 plus 17 and for 25 - 17; "3,5,9" for sorting 9 3 5; the number for number words both ways.
//   - For a fact (tables to 12, the words of numbers below twenty and of tens, what one unit is in another, greetings, glossary,
//     what the model does not know) there is nothing to compute, so all facts are taught and some wordings are held out: the key
//     is the question in lower case without its punctuation.
//   - For a question that follows another, what the second step needs: its operands, its list, its number. The first step is never
//     held out.
func HeldOut(key string) bool {
	h := fnv.New64a()
	h.Write([]byte(salt + "/" + key))
	return h.Sum64()%heldOneIn == 0
}

// wording is the key of a fact's question. Operators stay: they are what is asked.
func wording(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune("?.!,;:\"'", r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	return strings.Join(strings.Fields(text), " ")
}
