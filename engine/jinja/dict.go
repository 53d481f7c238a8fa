package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Dict is a Python dict, its keys in the order in which they came.
type Dict struct {
	keys   []Value
	values map[any]Value // by hashed key
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{values: map[any]Value{}} }

// Set puts v under key; a new key comes last.
func (d *Dict) Set(key string, v Value) { d.put(key, v) }

// Get finds what is under key.
func (d *Dict) Get(key string) (Value, bool) { v, ok := d.values[key]; return v, ok }

func (d *Dict) put(key, v Value) {
	h := hashed(key)
	if _, ok := d.values[h]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[h] = v
}

func (d *Dict) find(key Value) (Value, bool) { v, ok := d.values[hashed(key)]; return v, ok }

// at is what lies under a key that is known to be there.
func (d *Dict) at(key Value) Value { return d.values[hashed(key)] }

// merge sets all of from's entries.
func (d *Dict) merge(from *Dict) {
	for _, k := range from.keys {
		d.put(k, from.at(k))
	}
}

// take removes key and gives what was under it.
func (d *Dict) take(key string) (Value, bool) {
	v, ok := d.values[key]
	if !ok {
		return nil, false
	}
	delete(d.values, key)
	for i, k := range d.keys {
		if k == key {
			d.keys = append(d.keys[:i:i], d.keys[i+1:]...)
			break
		}
	}
	return v, true
}

func (d *Dict) copied(m *meter) *Dict {
	m.growTimes(entryBytes, len(d.keys))
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
func hashed(v Value) any {
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
		return hashed(shrunk(n))
	case undefined:
		return undefined{}
	case *List:
		if !v.Tuple {
			fail(typeError, "unhashable type: 'list'")
		}
		return hashedTuple(v)
	case *Dict:
		fail(typeError, "unhashable type: 'dict'")
	}
	return v
}

func hashedTuple(v *List) any {
	var b strings.Builder
	for _, item := range v.Items {
		h := hashed(item)
		part := fmt.Sprintf("%T %v", h, h)
		if b.Len()+len(part) > widthMax {
			fail(limitError, "a tuple of more than %d bytes is a key", widthMax)
		}
		fmt.Fprintf(&b, "%d %s ", len(part), part)
	}
	return tupleKey(b.String())
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
	k := v.of.keys[i]
	switch v.what {
	case "keys":
		return k
	case "values":
		return v.of.at(k)
	}
	return &List{Items: []Value{k, v.of.at(k)}, Tuple: true}
}
