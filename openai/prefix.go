package openai

import (
	"hash/maphash"

	"github.com/weir-ai/weir/llm"
)

const (
	// prefixBlock is the bytes of one block of a prompt, about 64 tokens. Engines share blocks of 16 to 64 tokens; smaller blocks here
	// would tell more of a short prompt and cost four times the memory for what routing only compares.
	prefixBlock = 64 * bytesPerToken
	// prefixMax bounds the blocks that are hashed of one prompt: 32 K tokens. Two prompts that are equal so far go the same way, whatever
	// follows; at eight times as many, a flood of long prompts would be hashed at the price of being routed.
	prefixMax = 512
)

// prefixSeed makes the hashes this process's own: nobody outside can make two prompts meet.
var prefixSeed = maphash.MakeSeed()

// Prefix fills in r's Shape the chained hashes of the prompt's blocks: each stands for the whole prompt up to its end. They are of the
// bytes as they were sent, tools first, as templates render them: two turns of one conversation come from one client, which writes
// what it has said before as it did before. Nothing happens where r has no scanned body.
func Prefix(r *llm.Request) {
	if r.Fields == nil || r.Shape.Prefix != nil {
		return
	}
	chain := prefixChain{hash: maphash.Bytes(prefixSeed, []byte(r.Model)), out: make([]uint64, 0, min(prefixMax, len(r.Body)/prefixBlock))}
	chain.add(Get(r.Body, r.Fields, "tools"))
	chain.add(Get(r.Body, r.Fields, "messages"))
	chain.add(Get(r.Body, r.Fields, "prompt"))
	r.Shape.Prefix, r.Shape.Block = chain.out, prefixBlock/bytesPerToken
}

type prefixChain struct {
	hash uint64
	out  []uint64
}

// add hashes the whole blocks of a member. What is left at its end tells tools apart from the beginning of messages, so it is hashed
// into the chain without an entry of its own, but for the last bytes: a list's closing bracket moves on with each turn.
func (c *prefixChain) add(b []byte) {
	for ; len(b) >= prefixBlock && len(c.out) < prefixMax; b = b[prefixBlock:] {
		c.hash = mix(c.hash, maphash.Bytes(prefixSeed, b[:prefixBlock]))
		c.out = append(c.out, c.hash)
	}
	if len(b) > 1 {
		c.hash = mix(c.hash, maphash.Bytes(prefixSeed, b))
	}
}

// mix chains two hashes; multiplying by an odd constant keeps a block from cancelling itself out two blocks later.
func mix(chain, block uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return (chain^block)*odd ^ chain>>29
}
