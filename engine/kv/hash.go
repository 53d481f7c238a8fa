package kv

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash names the tokens of a block together with everything before them and the salt, so equal hashes mean equal keys and
// values: they depend on nothing else.
//
// It is SHA-256 and not a faster 64-bit hash because prompts come from strangers: whoever could make two prompts collide
// would read another's answer. A block of 16 tokens costs two compressions, about 0.2 µs with the CPU's SHA instructions,
// against milliseconds to compute the block.
type Hash [sha256.Size]byte

// Root is the hash before the first block of a sequence. The salt is the tenant: tenants share no block, and none can learn
// by timing what another has asked.
func Root(salt string) Hash {
	// The prefix keeps roots apart from the chained hashes below, whose input begins with a hash.
	return sha256.Sum256(append([]byte("weir kv root\x00"), salt...))
}

// chunkTokens is how many tokens Next feeds to the hash at once: enough for a block, on the stack.
const chunkTokens = 32

// Next is the hash of the block that holds tokens and follows the block with hash h.
func (h Hash) Next(tokens []int32) Hash {
	var stack [sha256.Size + 4*chunkTokens]byte
	buf := append(stack[:0], h[:]...)
	for _, t := range tokens {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(t)) // grows beyond the stack only for larger blocks
	}
	return sha256.Sum256(buf)
}
