package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 32MB, 64KB, 1GB or a plain number; the units are powers of 1,024, and MiB is the same as MB.
type Size int64

var sizeUnits = []struct {
	suffix string
	factor Size
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}}

// sizeMax keeps sums of sizes inside an int64.
const sizeMax = 1 << 60

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := strings.ToUpper(strings.TrimSpace(string(text))), Size(1)
	if long, ok := strings.CutSuffix(number, "IB"); ok && long != "" && strings.ContainsAny(long[len(long)-1:], "KMGT") {
		number = long + "B"
	}
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	v, err := strconv.ParseUint(number, 10, 63)
	if err != nil || v > sizeMax/uint64(factor) {
		return fmt.Errorf("%q is not a size; write a whole number with B, KB, MB, GB or TB, such as 32MB", text)
	}
	*s = Size(v) * factor
	return nil
}

// MarshalText writes s in the largest unit that leaves no rest.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.factor && s%u.factor == 0 {
			return strconv.FormatInt(int64(s/u.factor), 10) + u.suffix
		}
	}
	return "0"
}

// Duration is a time span, written as Go writes it: 500ms, 30s, 10m.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write a number with a unit, such as 500ms, 30s or 10m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes d without units that are zero: 10m rather than 10m0s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Secret is a value that may be kept out of the file: ${env:NAME} reads the environment, ${file:PATH} a file (its last line break
// is cut). It is never printed: where it came from is. The form is the one that OpenTelemetry's collector has, so that nobody
// learns another.
type Secret struct {
	written string // as it stands in the file
	value   string
}

// Value is the secret itself.
func (s Secret) Value() string { return s.value }

// NewSecret makes a secret of a plain value, for code that builds a Config itself.
func NewSecret(value string) Secret { return Secret{written: "<set in code>", value: value} }

// secretFileMax bounds a secret's file: a key or a certificate is a few KB.
const secretFileMax = 64 << 10

// UnmarshalText reads the reference and what it refers to.
func (s *Secret) UnmarshalText(text []byte) error {
	s.written = string(text)
	s.value = s.written
	ref, ok := strings.CutPrefix(s.written, "${")
	if !ok || !strings.HasSuffix(ref, "}") {
		return nil
	}
	kind, name, _ := strings.Cut(strings.TrimSuffix(ref, "}"), ":")
	switch kind {
	case "env":
		v, set := os.LookupEnv(name)
		if !set {
			return fmt.Errorf("%s: the environment has no %s; set it or write ${file:PATH}", s.written, name)
		}
		s.value = v
	case "file":
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.written, err)
		}
		if info.Size() > secretFileMax {
			return fmt.Errorf("%s has %d bytes; a secret has at most %d", s.written, info.Size(), secretFileMax)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.written, err)
		}
		s.value = strings.TrimRight(string(b), "\r\n")
	default:
		return fmt.Errorf("%.60s is not a reference; write ${env:NAME} or ${file:PATH}", s.written)
	}
	return nil
}

// hidden stands for a secret that the configuration itself holds.
const hidden = "********"

// MarshalText writes where the secret came from, never what it is.
func (s Secret) MarshalText() ([]byte, error) {
	if strings.HasPrefix(s.written, "${") {
		return []byte(s.written), nil
	}
	if s.value == "" {
		return nil, nil
	}
	return []byte(hidden), nil
}

// String hides the secret from logs and %v.
func (s Secret) String() string { b, _ := s.MarshalText(); return string(b) }

// GoString hides it from %#v, too.
func (s Secret) GoString() string { return s.String() }
