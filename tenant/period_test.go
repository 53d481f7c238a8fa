package tenant

import (
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestSpans walks through each hour of years that have odd days: a period holds the moment, its end is the next one's beginning, and its label
// is the local date.
func TestSpans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone string
		year int
	}{{"UTC", 2028}, {"Europe/Berlin", 2026}, {"America/New_York", 2026}, {"America/Sao_Paulo", 2018}, {"America/Havana", 2026}, {"Australia/Lord_Howe", 2026}, {"Asia/Kathmandu", 2026}, {"Pacific/Apia", 2011}} {
		z := zone(t, c.zone)
		for _, per := range []Per{Day, Month} {
			var last span
			for at := time.Date(c.year, 1, 1, 0, 0, 0, 0, z); at.Year() == c.year; at = at.Add(29 * time.Minute) {
				if last.has(at) {
					if date := at.Format(time.DateOnly); !strings.HasPrefix(date, last.label) {
						t.Fatalf("%s: %s is in %s by its bounds", c.zone, date, last.label)
					}
					continue
				}
				s := spanAt(at, per, z)
				if !s.has(at) || last.label >= s.label || !last.end.IsZero() && !s.begin.Equal(last.end) {
					t.Fatalf("%s: %s is in %s from %s to %s, after %s that ends at %s", c.zone, at, s.label, s.begin, s.end, last.label, last.end)
				}
				if before := spanAt(s.end.Add(-time.Second), per, z); before.label != s.label {
					t.Fatalf("%s: the last second of %s is in %s", c.zone, s.label, before.label)
				}
				last = s
			}
		}
	}
}

func TestSpanLengths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, at, label string
		per             Per
		hours           float64
	}{
		{"UTC", "2026-11-27T23:59:59Z", "2026-11-27", Day, 24},
		{"Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29", Day, 23},
		{"Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25", Day, 25},
		{"America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04", Day, 23}, // midnight did not exist
		{"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-03", Day, 24},
		{"America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-17", Day, 25}, // the hour before midnight came twice
		{"Asia/Tokyo", "2026-11-27T15:00:00Z", "2026-11-28", Day, 24},
		{"UTC", "2028-02-29T23:00:00Z", "2028-02", Month, 29 * 24},
		{"UTC", "2026-12-31T23:59:59Z", "2026-12", Month, 31 * 24},
		{"Europe/Berlin", "2026-03-31T22:30:00Z", "2026-04", Month, 30 * 24},
		{"Europe/Berlin", "2026-03-31T21:30:00Z", "2026-03", Month, 31*24 - 1},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s := spanAt(at, c.per, zone(t, c.zone))
		if got := s.end.Sub(s.begin).Hours(); s.label != c.label || got != c.hours {
			t.Errorf("%s in %s: %s of %v hours, not %s of %v", c.at, c.zone, s.label, got, c.label, c.hours)
		}
	}
	if s := spanAt(noon, Day, nil); s.label != "2026-11-27" || s.end.Location() != time.UTC {
		t.Errorf("without a zone: %+v", s)
	}
}

// TestZoneChanges: a budget whose zone changes is not spent anew, whichever way midnight moves.
func TestZoneChanges(t *testing.T) {
	t.Parallel()
	with := func(name string) Config { return one(Limits{}, Budget{Tokens: 1000, Zone: zone(t, name)}) }
	b := newBook(t, with("UTC"), Options{})
	late := time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC)
	reserve(t, b, late, Ask{Prompt: 400, Output: 400})
	for _, name := range []string{"America/New_York", "UTC"} { // the same date
		if err := b.Reload(with(name)); err != nil {
			t.Fatal(err)
		}
		refused(t, b, late, Ask{Prompt: 100, Output: 101}, "token_budget")
	}
	if err := b.Reload(with("Asia/Tokyo")); err != nil { // the 28th there
		t.Fatal(err)
	}
	reserve(t, b, late, Ask{Prompt: 100, Output: 200})
	if err := b.Reload(with("UTC")); err != nil { // back on the 27th, which goes on as the 28th
		t.Fatal(err)
	}
	refused(t, b, late, Ask{Prompt: 400, Output: 301}, "token_budget")
	reserve(t, b, late, Ask{Prompt: 400, Output: 300})
	refused(t, b, late.Add(5*time.Hour), Ask{Prompt: 1, Output: 1}, "token_budget")
	reserve(t, b, late.Add(28*time.Hour), Ask{Prompt: 500, Output: 500})
}
