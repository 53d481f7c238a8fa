package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
)

// Dict is a Python dict, its entries in the order in which their keys came.
type Dict struct {
	entries []entry
	index   map[any]int // from a key's hash to its entry
}

type entry struct {
	hash       any
	key, value Value
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// Set puts v under key; a new key comes last.
func (d *Dict) Set(key string, v Value) { d.place(key, key, v) }

// Get finds what is under key.
func (d *Dict) Get(key string) (Value, bool) { return d.under(key) }

func (d *Dict) place(hash any, key, v Value) {
	if i, ok := d.index[hash]; ok {
		d.entries[i].value = v
		return
	}
	d.index[hash] = len(d.entries)
	d.entries = append(d.entries, entry{hash, key, v})
}

func (d *Dict) under(hash any) (Value, bool) {
	i, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	return d.entries[i].value, true
}

func (d *Dict) put(m *meter, key, v Value) { d.place(hashed(m, key), key, v) }

func (d *Dict) find(m *meter, key Value) (Value, bool) { return d.under(hashed(m, key)) }

// merge sets all of from's entries.
func (d *Dict) merge(from *Dict) {
	for _, e := range from.entries {
		d.place(e.hash, e.key, e.value)
	}
}

// take removes key and gives what was under it.
func (d *Dict) take(key string) (Value, bool) {
	i, ok := d.index[key]
	if !ok {
		return nil, false
	}
	v := d.entries[i].value
	rest := slices.Delete(slices.Clone(d.entries), i, i+1)
	d.entries, d.index = nil, map[any]int{}
	for _, e := range rest {
		d.place(e.hash, e.key, e.value)
	}
	return v, true
}

func (d *Dict) copied(m *meter) *Dict {
	m.growTimes(entryBytes, len(d.entries))
	out := NewDict()
	out.merge(d)
	return out
}

// Keys of other kinds than the comparable values themselves.
type (
	noneKey  struct{}
	bigKey   string
	tupleKey string
)

// hashed gives what keys that Python holds for equal have in common: 1, 1.0 and True are one key.
func hashed(m *meter, v Value) any { return hashedAt(m, v, 0) }

func hashedAt(m *meter, v Value, depth int) any {
	tooDeep(depth)
	m.weigh(v)
	switch v := v.(type) {
	case nil:
		return noneKey{}
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case markup:
		return string(v)
	case *big.Int:
		return bigKey(v.String())
	case float64:
		if v != math.Trunc(v) || math.IsInf(v, 0) {
			return v
		}
		n, _ := big.NewFloat(v).Int(nil)
		return hashedAt(m, shrunk(n), depth)
	case undefined:
		return undefined{}
	case *List:
		if !v.Tuple {
			fail(typeError, "unhashable type: 'list'")
		}
		return hashedTuple(m, v, depth)
	case *Dict:
		fail(typeError, "unhashable type: 'dict'")
	}
	return v
}

func hashedTuple(m *meter, v *List, depth int) any {
	w := writer{m: m}
	for _, item := range v.Items {
		m.spend(8) // for formatting it
		part := hashedAt(m, item, depth+1)
		text := fmt.Sprintf("%T %v", part, part)
		w.put(fmt.Sprintf("%d %s ", len(text), text))
	}
	return tupleKey(w.b.String())
}

// view is what a dict's keys, values and items methods give.
type view struct {
	of   *Dict
	what string // keys, values, items
}

func (v *view) typeName() string { return "dict_" + v.what }

func (v *view) repr(m *meter) string {
	return v.typeName() + "(" + repr(m, &List{Items: list(m, v)}) + ")"
}

func (v *view) attr(*rendering, string) (Value, bool) { return nil, false }

// entry is the view's element at the i-th key.
func (v *view) entry(i int) Value {
	e := v.of.entries[i]
	switch v.what {
	case "keys":
		return e.key
	case "values":
		return e.value
	}
	return &List{Items: []Value{e.key, e.value}, Tuple: true}
}
