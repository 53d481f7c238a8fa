package engine

import "math"

// expBelow is exp(x) for x <= 0, to a relative error of 1e-9. The weights of a whole vocabulary are computed for each sampled
// token, and math.Exp took two thirds of that time; nobody can tell a probability from one that is off by a billionth.
//
// The method is the usual one: x = k ln 2 + r with |r| <= ln 2 / 2, a Taylor polynomial for exp(r), and k added to the
// exponent. Products are rounded before they are added (the conversions), so that no compiler fuses them and the value is the
// same on every machine.
func expBelow(x float64) float64 {
	if x < -700 { // exp(-700) is 1e-304: nothing beside the likeliest token's 1
		return 0
	}
	k := int64(float64(x*math.Log2E) - 0.5) // cut towards zero, so this rounds
	r := x - float64(float64(k)*math.Ln2)
	p := 1.0 / 40320
	p = float64(p*r) + 1.0/5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 1.0/2
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	return p * math.Float64frombits(uint64(k+1023)<<52)
}
