package route

import "github.com/weir-ai/weir/llm"

// cacheTokens is how much of prompts an endpoint is taken to remember that does not say: a million tokens, some 16 GB of an 8 B
// model's KV cache, between a card's and a large server's. Too large a guess sends a prompt where it is computed again, as it would have
// been elsewhere; too small a one forgets what is there.
const cacheTokens = 1 << 20

// blocksMax bounds one endpoint's index: at 64 bytes an entry, 4 MB an endpoint.
const blocksMax = 1 << 16

// index remembers of one endpoint which blocks of prompts were sent there, the least recently sent forgotten first. Entries are in one
// slice, linked by their places: no allocation once it is full.
type index struct {
	most        int
	at          map[uint64]int32
	entries     []entry
	first, last int32 // most and least recently sent; -1 for none
}

type entry struct {
	hash       uint64
	prev, next int32
}

func newIndex(blocks int) *index {
	return &index{most: min(max(blocks, 1), blocksMax), at: map[uint64]int32{}, first: -1, last: -1}
}

// match is how many of the first blocks of a prefix the endpoint has.
func (x *index) match(prefix []uint64) int {
	for n, h := range prefix {
		if _, ok := x.at[h]; !ok {
			return n
		}
	}
	return len(prefix)
}

// add notes a prefix that was sent. Its last blocks go in first, so that the beginning, which more prompts share, is forgotten last.
func (x *index) add(prefix []uint64) {
	for i := len(prefix) - 1; i >= 0; i-- {
		h := prefix[i]
		if at, ok := x.at[h]; ok {
			x.unlink(at)
			x.push(at)
			continue
		}
		var at int32
		if len(x.entries) < x.most {
			at = int32(len(x.entries))
			x.entries = append(x.entries, entry{})
		} else {
			at = x.last
			x.unlink(at)
			delete(x.at, x.entries[at].hash)
		}
		x.entries[at].hash = h
		x.at[h] = at
		x.push(at)
	}
}

func (x *index) unlink(at int32) {
	e := &x.entries[at]
	if e.prev >= 0 {
		x.entries[e.prev].next = e.next
	} else {
		x.first = e.next
	}
	if e.next >= 0 {
		x.entries[e.next].prev = e.prev
	} else {
		x.last = e.prev
	}
}

func (x *index) push(at int32) {
	e := &x.entries[at]
	e.prev, e.next = -1, x.first
	if x.first >= 0 {
		x.entries[x.first].prev = at
	} else {
		x.last = at
	}
	x.first = at
}

// sessionsMax bounds the sessions that are remembered of one model: more than are in conversation with one gateway at a time.
const sessionsMax = 1 << 16

// sessions remembers where each session was last. When it is full, it begins anew with the younger half: two maps in turn, which needs
// no links and forgets nobody who comes back within half of its size.
type sessions struct {
	young, old map[string]llm.EndpointID
}

func (s *sessions) get(name string) (llm.EndpointID, bool) {
	if e, ok := s.young[name]; ok {
		return e, true
	}
	e, ok := s.old[name]
	return e, ok
}

func (s *sessions) set(name string, e llm.EndpointID) {
	if s.young == nil || len(s.young) >= sessionsMax/2 {
		s.old, s.young = s.young, map[string]llm.EndpointID{}
	}
	s.young[name] = e
}
