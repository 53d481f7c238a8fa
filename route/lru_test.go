package route

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// kept gives the keys from the most to the least recently used.
func (l *lru) kept() []uint64 {
	var out []uint64
	for at := l.first; at != 0; at = l.entries[at-1].next {
		out = append(out, l.entries[at-1].key)
	}
	return out
}

func TestLRUDoesWhatAListDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		most := 1 + rng.IntN(40)
		l := lru{most: most}
		var want []uint64
		values := map[uint64]int32{}
		for range 3000 {
			key, value := rng.Uint64N(80)<<rng.UintN(50), int32(rng.IntN(1000))
			if rng.IntN(200) == 0 {
				most = 1 + rng.IntN(40)
				l.resize(most)
				want = want[:min(len(want), most)]
			}
			l.put(key, value)
			values[key] = value
			if i := slices.Index(want, key); i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
			want = slices.Insert(want, 0, key)
			want = want[:min(len(want), most)]
			if got := l.kept(); !slices.Equal(got, want) {
				t.Fatalf("seed %d: kept %v, want %v", seed, got, want)
			}
			probe := rng.Uint64N(80) << rng.UintN(50)
			value, ok := l.get(probe)
			if ok != slices.Contains(want, probe) || ok && value != values[probe] {
				t.Fatalf("seed %d: get(%d) is %d, %v", seed, probe, value, ok)
			}
		}
	}
}

func TestLRURemembersNothingInNoRoom(t *testing.T) {
	t.Parallel()
	var l lru
	l.put(1, 1)
	l.addPrefix([]uint64{1, 2})
	if _, ok := l.get(1); ok || l.match([]uint64{1}) != 0 {
		t.Fatal("an index without room remembers")
	}
}

// chain makes n chained hashes that begin like those of the same family and differ from block from on by branch.
func chain(family, branch uint64, from, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = family<<32 + uint64(i) + 1
		if i >= from {
			out[i] += (branch*64 + uint64(from)) << 16
		}
	}
	return out
}

func TestPrefixMatchesItsLongestKnownBeginning(t *testing.T) {
	t.Parallel()
	l := lru{most: 100}
	l.addPrefix(chain(1, 0, 0, 20))
	l.addPrefix(chain(1, 7, 8, 12))
	check := func(name string, prefix []uint64, want int) {
		t.Helper()
		if got := l.match(prefix); got != want {
			t.Errorf("%s: %d blocks match, want %d", name, got, want)
		}
	}
	check("the same", chain(1, 0, 0, 20), 20)
	check("longer", chain(1, 0, 0, 33), 20)
	check("shorter", chain(1, 0, 0, 3), 3)
	check("other from the ninth block on", chain(1, 9, 8, 20), 8)
	check("the branch", chain(1, 7, 8, 30), 12)
	check("a stranger", chain(2, 0, 0, 20), 0)
	check("nothing", nil, 0)
}

// Halving relies on it: no block is remembered without all before it.
func TestPrefixIndexForgetsFromTheEnd(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	l := lru{most: 64}
	for range 2000 {
		branch, from, n := rng.Uint64N(6), rng.IntN(30), 1+rng.IntN(80)
		l.addPrefix(chain(rng.Uint64N(3), branch, from, n))
		if len(l.entries) > l.most {
			t.Fatalf("%d entries, %d at most", len(l.entries), l.most)
		}
		prefix := chain(rng.Uint64N(3), rng.Uint64N(6), rng.IntN(30), 1+rng.IntN(80))
		naive := 0
		for naive < len(prefix) {
			if _, ok := l.get(prefix[naive]); !ok {
				break
			}
			naive++
		}
		if got := l.match(prefix); got != naive {
			t.Fatalf("match says %d, block by block it is %d", got, naive)
		}
	}
}

func TestPrefixIndexIsSmallAtItsBound(t *testing.T) { // counts allocations: not beside others
	l := lru{most: blocksMax}
	for family := range uint64(2 * blocksMax / 100) {
		l.addPrefix(chain(family+1, 0, 0, 100))
	}
	if len(l.entries) != blocksMax {
		t.Fatalf("%d entries, want %d", len(l.entries), blocksMax)
	}
	if bytes := 16*cap(l.entries) + 4*len(l.table) + 4*cap(l.values); bytes > 40*blocksMax {
		t.Errorf("%d bytes an entry", bytes/blocksMax)
	}
	if n := testing.AllocsPerRun(100, func() { l.addPrefix(chain5) }); n > 0 {
		t.Errorf("a full index allocates %g times", n)
	}
}

var chain5 = chain(1<<20, 0, 0, 5)
