package route

import "math/bits"

// lru remembers a bounded number of keys, the least recently used forgotten first. A prefix index is one whose keys are the hashes of
// blocks; one with values remembers a number for each key.
//
// A map of pointers would cost some 80 bytes and an allocation an entry. Here entries lie in one slice and are linked by their places,
// and an open-addressed table of places finds them: 24 to 32 bytes an entry, and no allocation once it is full. Keys are hashes already.
type lru struct {
	most        int     // entries; 0 remembers nothing
	table       []int32 // 1 + a place in entries, 0 for none; a power of two long, at most half full
	shift       uint    // 64 - log2(len(table))
	entries     []entry
	values      []int32 // of entries; used where a value is put
	first, last int32   // 1 + the place of the most and of the least recently used; 0 for none
}

type entry struct {
	key        uint64
	prev, next int32 // 1 + a place; 0 for none
}

// slot is where the table has key, or the empty place where it would.
func (l *lru) slot(key uint64) int {
	for i := l.home(key); ; i = (i + 1) & (len(l.table) - 1) {
		if at := l.table[i]; at == 0 || l.entries[at-1].key == key {
			return i
		}
	}
}

// home is where a search for key begins. The product's upper bits depend on all bits of the key, so that poor hashes spread, too.
func (l *lru) home(key uint64) int { return int(key * 0x9e3779b97f4a7c15 >> l.shift) }

// get tells the value of a key, and whether it is remembered. It does not count as a use.
func (l *lru) get(key uint64) (value int32, ok bool) {
	if len(l.table) == 0 {
		return 0, false
	}
	at := l.table[l.slot(key)]
	if at == 0 {
		return 0, false
	}
	if len(l.values) > 0 {
		value = l.values[at-1]
	}
	return value, true
}

// use puts a key first and reports the place of its entry, 1 and up; 0 where nothing can be remembered.
func (l *lru) use(key uint64) int32 {
	if l.most <= 0 {
		return 0
	}
	if 2*(len(l.entries)+1) > len(l.table) && len(l.entries) < l.most {
		l.grow()
	}
	at := l.table[l.slot(key)]
	switch {
	case at != 0 && at == l.first:
		return at
	case at != 0:
		l.unlink(at)
	case len(l.entries) < l.most:
		l.entries = append(l.entries, entry{key: key})
		at = int32(len(l.entries))
		l.table[l.slot(key)] = at
	default:
		at = l.last
		l.unlink(at)
		l.remove(l.slot(l.entries[at-1].key))
		l.entries[at-1].key = key
		l.table[l.slot(key)] = at
	}
	l.push(at)
	return at
}

// put uses a key and gives it a value.
func (l *lru) put(key uint64, value int32) {
	if at := l.use(key); at > 0 {
		for len(l.values) < len(l.entries) {
			l.values = append(l.values, 0)
		}
		l.values[at-1] = value
	}
}

// resize changes the bound. One that is smaller than what is remembered begins anew with the entries used last.
func (l *lru) resize(most int) {
	if most >= len(l.entries) {
		l.most = most
		return
	}
	old := *l
	*l = lru{most: most}
	kept := make([]int32, 0, most)
	for at := old.first; at != 0 && len(kept) < most; at = old.entries[at-1].next {
		kept = append(kept, at)
	}
	for i := len(kept) - 1; i >= 0; i-- {
		at := kept[i]
		if len(old.values) > 0 {
			l.put(old.entries[at-1].key, old.values[at-1])
		} else {
			l.use(old.entries[at-1].key)
		}
	}
}

func (l *lru) grow() {
	n := max(16, 2*len(l.table))
	l.table, l.shift = make([]int32, n), uint(64-bits.TrailingZeros(uint(n)))
	for i := range l.entries {
		l.table[l.slot(l.entries[i].key)] = int32(i + 1)
	}
}

// remove empties a slot of the table and moves up what had to go past it, so that searches need no marks of the dead.
func (l *lru) remove(hole int) {
	mask := len(l.table) - 1
	l.table[hole] = 0
	for i := (hole + 1) & mask; l.table[i] != 0; i = (i + 1) & mask {
		home := l.home(l.entries[l.table[i]-1].key)
		if (i-home)&mask >= (i-hole)&mask {
			l.table[hole], l.table[i] = l.table[i], 0
			hole = i
		}
	}
}

func (l *lru) unlink(at int32) {
	e := &l.entries[at-1]
	if e.prev != 0 {
		l.entries[e.prev-1].next = e.next
	} else {
		l.first = e.next
	}
	if e.next != 0 {
		l.entries[e.next-1].prev = e.prev
	} else {
		l.last = e.prev
	}
}

func (l *lru) push(at int32) {
	e := &l.entries[at-1]
	e.prev, e.next = 0, l.first
	if l.first != 0 {
		l.entries[l.first-1].prev = at
	} else {
		l.last = at
	}
	l.first = at
}

// match is how many of the first blocks of a prefix are remembered. A block's hash stands for all before it, and addPrefix keeps what
// comes first fresher than what comes after it: a block that is there has all before it there, so that halving finds the last.
func (l *lru) match(prefix []uint64) int {
	if len(prefix) == 0 {
		return 0
	}
	if _, ok := l.get(prefix[0]); !ok {
		return 0 // most prompts are strangers at most endpoints
	}
	low, high := 1, len(prefix) // blocks before low are there, block high is not
	for low < high {
		mid := (low + high + 1) / 2
		if _, ok := l.get(prefix[mid-1]); ok {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// addPrefix notes a prefix that was sent. Its last blocks go in first, so that the beginning, which more prompts share, is forgotten
// last.
func (l *lru) addPrefix(prefix []uint64) {
	for i := min(len(prefix), l.most) - 1; i >= 0; i-- {
		l.use(prefix[i])
	}
}
