package weights

import "math"

// Meta is GGUF's metadata. A value is a string, bool, uint8 ... int64, float32 or float64, or a slice of one of these, exactly as
// the file types it. The readers below return false for a missing key and for one of another kind.
type Meta map[string]any

// String reads a string.
func (m Meta) String(key string) (string, bool) {
	v, ok := m[key].(string)
	return v, ok
}

// Bool reads a bool.
func (m Meta) Bool(key string) (bool, bool) {
	v, ok := m[key].(bool)
	return v, ok
}

// Int reads an integer of any width and sign; a uint64 beyond int64 does not fit.
func (m Meta) Int(key string) (int64, bool) {
	switch v := m[key].(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case int64:
		return v, true
	}
	return 0, false
}

// Float reads a float32 or float64, not an integer.
func (m Meta) Float(key string) (float64, bool) {
	switch v := m[key].(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Strings reads an array of strings. The slice is the Meta's own: do not change it.
func (m Meta) Strings(key string) ([]string, bool) {
	v, ok := m[key].([]string)
	return v, ok
}

// Bools reads an array of bools. The slice is the Meta's own: do not change it.
func (m Meta) Bools(key string) ([]bool, bool) {
	v, ok := m[key].([]bool)
	return v, ok
}

// Ints reads an array of integers of any width and sign into a fresh slice; one uint64 beyond int64 makes it not fit.
func (m Meta) Ints(key string) ([]int64, bool) {
	switch v := m[key].(type) {
	case []uint8:
		return convert[int64](v), true
	case []int8:
		return convert[int64](v), true
	case []uint16:
		return convert[int64](v), true
	case []int16:
		return convert[int64](v), true
	case []uint32:
		return convert[int64](v), true
	case []int32:
		return convert[int64](v), true
	case []int64:
		return convert[int64](v), true
	case []uint64:
		for _, n := range v {
			if n > math.MaxInt64 {
				return nil, false
			}
		}
		return convert[int64](v), true
	}
	return nil, false
}

// Floats reads an array of float32 or float64 into a fresh slice.
func (m Meta) Floats(key string) ([]float32, bool) {
	switch v := m[key].(type) {
	case []float32:
		return convert[float32](v), true
	case []float64:
		return convert[float32](v), true
	}
	return nil, false
}

type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

func convert[To, From number](v []From) []To {
	out := make([]To, len(v))
	for i, n := range v {
		out[i] = To(n)
	}
	return out
}
