package flood

import (
	"math"
	"slices"
)

// Fairness says how even the service of the tenants was. Service is prompt tokens and twice the output tokens, over the tenant's weight,
// as in the fairness paper (Sheng et al., OSDI'24).
type Fairness struct {
	Tenants    int       `json:"tenants"`    // that have a series
	Backlogged int       `json:"backlogged"` // of them, in half of the ticks at least in which any was
	GapMax     float64   `json:"gap_max"`    // the most by which one tenant's service exceeded another's while both were backlogged, in weighted tokens
	GapTenants []string  `json:"gap_tenants,omitempty"`
	Gap        []float64 `json:"gap"`         // by tick: the largest difference since both have been backlogged
	Jain       float64   `json:"jain"`        // Jain's index over the service of those that were backlogged, 1 is even; 0 where they are less than two
	WorstShare float64   `json:"worst_share"` // the least of the tenants' fair shares (Account.FairShare); 0 where there is one tenant only
	Worst      string    `json:"worst,omitempty"`
}

// fairRequestsMin is how many requests a tenant must have made to count for WorstShare: the share of two or three requests is luck.
const fairRequestsMin = 20

// fairness looks at the ticks of the schedule; tick is in seconds.
func fairness(tenants []*account, weight func(string) float64, ticks int, tick float64) Fairness {
	f := Fairness{Tenants: len(tenants), Gap: make([]float64, ticks)}
	var service []float64
	pressed := 0 // ticks in which anybody was backlogged
	for k := range ticks {
		if slices.ContainsFunc(tenants, func(t *account) bool { return k < len(t.serve.backlogged) && t.serve.backlogged[k] }) {
			pressed++
		}
	}
	for _, t := range tenants {
		sum, n := 0.0, 0
		for k := range min(ticks, len(t.serve.rows)) {
			if t.serve.backlogged[k] {
				sum += t.serve.rows[k] / weight(t.name)
				n++
			}
		}
		if n > 0 && 2*n >= pressed {
			service = append(service, sum/float64(n))
		}
	}
	f.Backlogged = len(service)
	if len(service) >= 2 {
		f.Jain = jain(service)
	}
	for i, a := range tenants {
		for _, b := range tenants[i+1:] {
			f.gap(a, b, tick/weight(a.name), tick/weight(b.name))
		}
	}
	return f
}

// gap follows the difference of two tenants' services through the stretches in which both are backlogged. The paper's bound holds for
// every part of a stretch, so the largest gap is the range of the running difference. ofA and ofB are what a rate counts in a tick.
func (f *Fairness) gap(a, b *account, ofA, ofB float64) {
	difference, low, high := 0.0, 0.0, 0.0
	for k := range min(len(f.Gap), len(a.serve.rows), len(b.serve.rows)) {
		if !a.serve.backlogged[k] || !b.serve.backlogged[k] {
			difference, low, high = 0, 0, 0
			continue
		}
		difference += a.serve.rows[k]*ofA - b.serve.rows[k]*ofB
		low, high = min(low, difference), max(high, difference)
		f.Gap[k] = max(f.Gap[k], math.Abs(difference))
		if high-low > f.GapMax {
			f.GapMax, f.GapTenants = high-low, []string{a.name, b.name}
		}
	}
}

func jain(values []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1 // all got nothing, which is even
	}
	return sum * sum / (float64(len(values)) * squares)
}

// fairWindow is over how long shares are compared, in ticks: shorter, and one long answer is a window; longer, and what a tenant asked
// for in a burst counts as if it could have been served when nobody asked.
const fairWindow = 10

// fairShares gives each tenant's service over what max-min fairness would have given it of the same total, window by window: nobody gets
// more than it asks for, and what that leaves is divided among the others by weight. 1 is fair. ratio is the tokens of answers over their
// max_tokens, by which what was not served is counted. tick is in seconds.
func fairShares(tenants []*account, weight func(string) float64, ticks int, tick, ratio float64) []float64 {
	n := len(tenants)
	served, wanted, weights := make([]float64, n), make([]float64, n), make([]float64, n)
	got, due := make([]float64, n), make([]float64, n)
	for i, t := range tenants {
		weights[i] = weight(t.name)
	}
	for from := 0; from < ticks; from += fairWindow {
		total := 0.0
		for i, t := range tenants {
			w := &t.serve
			served[i], wanted[i] = 0, 0
			for k := from; k < min(from+fairWindow, ticks, len(w.rows)); k++ {
				served[i] += w.rows[k] * tick
				wanted[i] += promptWeight*w.missedPrompts[k] + outputWeight*ratio*w.missedOutputs[k]
			}
			wanted[i] += served[i]
			total += served[i]
		}
		for i, fair := range waterFill(wanted, weights, total) {
			got[i] += served[i]
			due[i] += fair
		}
	}
	for i := range got {
		if due[i] > 0 {
			got[i] /= due[i]
		} else {
			got[i] = 1
		}
	}
	return got
}

// waterFill divides total by weights, with no more than wanted for each.
func waterFill(wanted, weights []float64, total float64) []float64 {
	order := make([]int, len(wanted))
	left := 0.0
	for i := range order {
		order[i] = i
		left += weights[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return compare(wanted[a]/weights[a], wanted[b]/weights[b])
	})
	out := make([]float64, len(wanted))
	for _, i := range order {
		out[i] = min(wanted[i], total*weights[i]/left)
		total -= out[i]
		left -= weights[i]
	}
	return out
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
