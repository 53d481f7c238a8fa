package jinja

import (
	"math"
	"math/big"
	"strings"
)

func isNumber(v Value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// integer gives v as a big integer, where it is one. Python's True is 1.
func integer(v Value) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return big.NewInt(0), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// float gives a number as a float.
func float(v Value) float64 {
	if f, ok := v.(float64); ok {
		return f
	}
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	n, _ := integer(v)
	f, _ := new(big.Float).SetInt(n).Float64()
	if math.IsInf(f, 0) {
		fail(overflowError, "int too large to convert to float")
	}
	return f
}

// shrunk is n as an int64 where it fits.
func shrunk(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	if n.BitLen() > intBits {
		fail(limitError, "a whole number has more than %d bits", intBits)
	}
	return n
}

// whole is v as an int for positions and counts; what says which in the error. Larger ones are cut to the largest int32, which is
// beyond every bound here.
func whole(v Value, what string) int {
	n, ok := integer(v)
	if !ok {
		refuseUndefined(v)
		fail(typeError, "'%s' object cannot be interpreted as an integer (%s)", typeName(v), what)
	}
	return clamp(n)
}

func clamp(n *big.Int) int {
	switch {
	case n.IsInt64() && n.Int64() >= math.MinInt32 && n.Int64() <= math.MaxInt32:
		return int(n.Int64())
	case n.Sign() < 0:
		return math.MinInt32
	}
	return math.MaxInt32
}

// arithmetic computes a op b for numbers.
func arithmetic(op string, a, b Value) Value {
	x, xInt := integer(a)
	y, yInt := integer(b)
	if !xInt || !yInt {
		return floats(op, float(a), float(b))
	}
	switch op {
	case "+":
		return shrunk(new(big.Int).Add(x, y))
	case "-":
		return shrunk(new(big.Int).Sub(x, y))
	case "*":
		if x.BitLen()+y.BitLen() > intBits+1 {
			fail(limitError, "a whole number has more than %d bits", intBits)
		}
		return shrunk(new(big.Int).Mul(x, y))
	case "**":
		return power(x, y)
	}
	if y.Sign() == 0 {
		if op == "/" {
			fail(zeroDivision, "division by zero")
		}
		fail(zeroDivision, "integer division or modulo by zero")
	}
	if op == "/" {
		f, _ := new(big.Rat).SetFrac(x, y).Float64()
		if math.IsInf(f, 0) {
			fail(overflowError, "integer division result too large for a float")
		}
		return f
	}
	// Python rounds down, Euclid's division rounds so that the rest is not negative.
	q, rest := new(big.Int).DivMod(x, y, new(big.Int))
	if y.Sign() < 0 && rest.Sign() > 0 {
		q.Sub(q, big.NewInt(1))
		rest.Add(rest, y)
	}
	if op == "//" {
		return shrunk(q)
	}
	return shrunk(rest)
}

func power(x, y *big.Int) Value {
	if y.Sign() < 0 {
		return floats("**", float(shrunk(x)), float(shrunk(y)))
	}
	if x.BitLen() > 1 && (!y.IsInt64() || int64(x.BitLen()-1)*min(y.Int64(), intBits+1) > intBits) {
		fail(limitError, "a whole number has more than %d bits", intBits)
	}
	if x.BitLen() <= 1 { // -1, 0 or 1: only whether y is 0 or odd counts
		y = new(big.Int).Add(new(big.Int).And(y, big.NewInt(1)), big.NewInt(int64(2*y.Sign())))
	}
	return shrunk(new(big.Int).Exp(x, y, nil))
}

func floats(op string, x, y float64) Value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return floatPower(x, y)
	}
	if y == 0 {
		fail(zeroDivision, "%s", map[string]string{"/": "float division by zero", "//": "float floor division by zero", "%": "float modulo"}[op])
	}
	if op == "/" {
		return x / y
	}
	rest := math.Mod(x, y)
	q := (x - rest) / y
	if rest != 0 {
		if (y < 0) != (rest < 0) {
			rest += y
			q--
		}
	} else {
		rest = math.Copysign(0, y)
	}
	if op == "%" {
		return rest
	}
	if q == 0 {
		return math.Copysign(0, x/y)
	}
	down := math.Floor(q)
	if q-down > 0.5 {
		down++
	}
	return down
}

func floatPower(x, y float64) Value {
	if x == 0 && y < 0 {
		fail(zeroDivision, "0.0 cannot be raised to a negative power")
	}
	if x < 0 && !math.IsInf(x, 0) && y != math.Trunc(y) && !math.IsInf(y, 0) {
		fail(valueError, "complex numbers are not supported: %s ** %s", floatRepr(x), floatRepr(y))
	}
	out := math.Pow(x, y)
	if math.IsInf(out, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		fail(overflowError, "(34, 'Numerical result out of range')")
	}
	return out
}

// operate computes a op b for all values that templates have: + joins, * repeats and % formats text.
func (r *rendering) operate(op string, a, b Value) Value {
	if isNumber(a) && isNumber(b) {
		x, xSmall := a.(int64)
		y, ySmall := b.(int64)
		if xSmall && ySmall && max(x, y) < math.MaxInt32 && min(x, y) > math.MinInt32 && (op == "+" || op == "-") {
			if op == "-" {
				y = -y
			}
			return x + y // most sums, without big integers
		}
		r.weigh(a)
		r.weigh(b)
		out := arithmetic(op, a, b)
		r.weigh(out) // powers are larger than what they are made of
		return out
	}
	if _, ok := text(a); ok && op == "%" {
		return r.percent(a, b)
	}
	refuseUndefined(a)
	refuseUndefined(b)
	switch op {
	case "+":
		return r.join(a, b)
	case "*":
		if n, ok := integer(b); ok {
			return r.repeat(a, clamp(n))
		}
		if n, ok := integer(a); ok {
			return r.repeat(b, clamp(n))
		}
		for _, v := range []Value{a, b} {
			if _, ok := text(v); ok || typeName(v) == "list" || typeName(v) == "tuple" {
				other := b
				if v == b {
					other = a
				}
				fail(typeError, "can't multiply sequence by non-int of type '%s'", typeName(other))
			}
		}
	case "**":
		op = "** or pow()"
	}
	fail(typeError, "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

// join is a + b for what is not two numbers.
func (r *rendering) join(a, b Value) Value {
	x, xText := text(a)
	y, yText := text(b)
	if xText && yText {
		_, xMarked := a.(markup)
		_, yMarked := b.(markup)
		if xMarked || yMarked {
			x, y = string(escaped(&r.meter, a)), string(escaped(&r.meter, b))
		}
		r.grow(len(x) + len(y))
		if xMarked || yMarked {
			return markup(x + y)
		}
		return x + y
	}
	l, aList := a.(*List)
	o, bList := b.(*List)
	switch {
	case aList && bList && l.Tuple == o.Tuple:
		r.growTimes(slotBytes, len(l.Items)+len(o.Items))
		return &List{Items: append(append([]Value(nil), l.Items...), o.Items...), Tuple: l.Tuple}
	case xText || aList:
		fail(typeError, "can only concatenate %s (not \"%s\") to %s", typeName(a), typeName(b), typeName(a))
	}
	fail(typeError, "unsupported operand type(s) for +: '%s' and '%s'", typeName(a), typeName(b))
	return nil
}

// repeat is v * n.
func (r *rendering) repeat(v Value, n int) Value {
	n = max(n, 0)
	switch v := v.(type) {
	case string:
		r.growTimes(len(v), n)
		return strings.Repeat(v, n)
	case markup:
		r.growTimes(len(v), n)
		return markup(strings.Repeat(string(v), n))
	case *List:
		r.growTimes(slotBytes*len(v.Items), n)
		out := &List{Tuple: v.Tuple, Items: make([]Value, 0, len(v.Items)*n)}
		for range n {
			if len(v.Items) == 0 {
				break
			}
			out.Items = append(out.Items, v.Items...)
		}
		return out
	}
	fail(typeError, "unsupported operand type(s) for *: '%s' and 'int'", typeName(v))
	return nil
}

// negative is -v, and positive +v.
func negative(v Value) Value {
	refuseUndefined(v)
	if f, ok := v.(float64); ok {
		return -f
	}
	n, ok := integer(v)
	if !ok {
		fail(typeError, "bad operand type for unary -: '%s'", typeName(v))
	}
	return shrunk(new(big.Int).Neg(n))
}

func positive(v Value) Value {
	refuseUndefined(v)
	if f, ok := v.(float64); ok {
		return f
	}
	n, ok := integer(v)
	if !ok {
		fail(typeError, "bad operand type for unary +: '%s'", typeName(v))
	}
	return shrunk(n)
}
