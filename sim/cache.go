package sim

import "container/list"

// Cache is an engine's prefix cache: the blocks of prompts that were computed, the least recently used dropped first. A block counts as
// a hit only behind blocks that hit, as in an engine.
type Cache struct {
	room  int
	order *list.List // of block hashes, the freshest first
	at    map[uint64]*list.Element
}

// NewCache makes one with room for so many blocks.
func NewCache(room int) *Cache {
	return &Cache{room: room, order: list.New(), at: map[uint64]*list.Element{}}
}

// Match is how many of a prompt's first blocks are there.
func (c *Cache) Match(blocks []uint64) int {
	for n, b := range blocks {
		if c.at[b] == nil {
			return n
		}
	}
	return len(blocks)
}

// Add notes that a prompt's blocks were computed or read. The beginning, which more prompts share, is kept longest.
func (c *Cache) Add(blocks []uint64) {
	for i := len(blocks) - 1; i >= 0; i-- {
		if e := c.at[blocks[i]]; e != nil {
			c.order.MoveToFront(e)
			continue
		}
		c.at[blocks[i]] = c.order.PushFront(blocks[i])
		if c.order.Len() > c.room {
			last := c.order.Back()
			delete(c.at, last.Value.(uint64))
			c.order.Remove(last)
		}
	}
}

// IdealHits is the share of all blocks of the jobs that hit in one cache with the given room that serves them all in order: what a fleet
// could reuse at best whose caches together have that room, if it were one machine without a queue. It is an LRU, like the engines'
// own, and not Belady's offline optimum: the difference between the two is the engine's matter and not the router's.
func IdealHits(jobs []Job, room int) float64 {
	c := NewCache(room)
	hits, all := 0, 0
	for i := range jobs {
		hits += c.Match(jobs[i].Blocks)
		all += len(jobs[i].Blocks)
		c.Add(jobs[i].Blocks)
	}
	return float64(hits) / float64(max(all, 1))
}
