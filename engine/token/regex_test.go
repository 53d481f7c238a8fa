package token

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// regex is a backtracking matcher for the patterns of pre-tokenizers, slow and plain, to hold the scanners against. It knows
// what these patterns use: sets, \p{..} \s \S \r \n, ? * + {a,b} (with a possessive + after them), |, (?i:..), (?!\S) and $.
type regex struct {
	branches [][]part // alternatives of atoms
}

type part struct {
	atom       func(s string, i int, fold bool, then func(i int) bool) bool
	from, most int
	possessive bool
}

// match gives the length of the match at the start of s that a backtracking engine finds, or -1.
func (r *regex) match(s string, i int) int {
	end := -1
	r.try(s, i, false, func(j int) bool { end = j; return true })
	return end
}

func (r *regex) try(s string, i int, fold bool, then func(int) bool) bool {
	return slices.ContainsFunc(r.branches, func(parts []part) bool { return tryParts(parts, s, i, fold, then) })
}

func tryParts(parts []part, s string, i int, fold bool, then func(int) bool) bool {
	if len(parts) == 0 {
		return then(i)
	}
	p, rest := parts[0], parts[1:]
	if p.possessive {
		n := 0
		for n < p.most {
			next := -1
			if !p.atom(s, i, fold, func(j int) bool { next = j; return true }) {
				break
			}
			i, n = next, n+1
		}
		return n >= p.from && tryParts(rest, s, i, fold, then)
	}
	var repeat func(i, n int) bool
	repeat = func(i, n int) bool {
		if n < p.most && p.atom(s, i, fold, func(j int) bool { return (j > i || n < p.from) && repeat(j, n+1) }) {
			return true
		}
		return n >= p.from && tryParts(rest, s, i, fold, then)
	}
	return repeat(i, 0)
}

// compile parses a pattern; test patterns are right, so it does not check.
func compile(pattern string) *regex {
	p := &patternParser{rest: pattern}
	return p.alternatives()
}

type patternParser struct{ rest string }

func (p *patternParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *patternParser) alternatives() *regex {
	r := &regex{branches: [][]part{nil}}
	for p.rest != "" && p.rest[0] != ')' {
		if p.take("|") {
			r.branches = append(r.branches, nil)
			continue
		}
		last := len(r.branches) - 1
		r.branches[last] = append(r.branches[last], p.repeated())
	}
	return r
}

func (p *patternParser) repeated() part {
	out := part{atom: p.atom(), from: 1, most: 1}
	switch {
	case p.take("?"):
		out.from = 0
	case p.take("*"):
		out.from, out.most = 0, 1<<30
	case p.take("+"):
		out.most = 1 << 30
	case p.take("{1,3}"):
		out.most = 3
	case p.take("{1}"):
	default:
		return out
	}
	out.possessive = p.take("+")
	return out
}

type atom = func(s string, i int, fold bool, then func(int) bool) bool

func (p *patternParser) atom() atom {
	switch {
	case p.take("(?i:"):
		inner := p.alternatives()
		p.take(")")
		return func(s string, i int, _ bool, then func(int) bool) bool { return inner.try(s, i, true, then) }
	case p.take(`(?!\S)`):
		return func(s string, i int, _ bool, then func(int) bool) bool {
			r, n := utf8.DecodeRuneInString(s[i:])
			return (n == 0 || unicode.IsSpace(r)) && then(i)
		}
	case p.take("$"):
		return func(s string, i int, _ bool, then func(int) bool) bool { return i == len(s) && then(i) }
	}
	in := p.set()
	return func(s string, i int, fold bool, then func(int) bool) bool {
		r, n := utf8.DecodeRuneInString(s[i:])
		if n == 0 {
			return false
		}
		ok := in(r)
		for f := unicode.SimpleFold(r); fold && !ok && f != r; f = unicode.SimpleFold(f) {
			ok = in(f)
		}
		return ok && then(i+n)
	}
}

// set reads [...] or one character.
func (p *patternParser) set() func(rune) bool {
	if !p.take("[") {
		in, _ := p.character()
		return in
	}
	negated := p.take("^")
	var sets []func(rune) bool
	for !p.take("]") {
		in, from := p.character()
		if from >= 0 && strings.HasPrefix(p.rest, "-") && !strings.HasPrefix(p.rest, "-]") {
			p.take("-")
			_, to := p.character()
			in = func(r rune) bool { return r >= from && r <= to }
		}
		sets = append(sets, in)
	}
	return func(r rune) bool {
		return slices.ContainsFunc(sets, func(in func(rune) bool) bool { return in(r) }) != negated
	}
}

// character reads one character, \r, \n or a class; for a class the rune is -1.
func (p *patternParser) character() (func(rune) bool, rune) {
	for name, table := range map[string]*unicode.RangeTable{`\p{L}`: unicode.L, `\p{N}`: unicode.N, `\p{P}`: unicode.P, `\p{S}`: unicode.S,
		`\p{M}`: unicode.M, `\p{Lu}`: unicode.Lu, `\p{Lt}`: unicode.Lt, `\p{Lm}`: unicode.Lm, `\p{Lo}`: unicode.Lo, `\p{Ll}`: unicode.Ll} {
		if p.take(name) {
			return func(r rune) bool { return unicode.Is(table, r) }, -1
		}
	}
	if p.take(`\s`) {
		return unicode.IsSpace, -1
	}
	escaped := p.take(`\`)
	r, n := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[n:]
	if escaped && r == 'r' {
		r = '\r'
	} else if escaped && r == 'n' {
		r = '\n'
	}
	return func(c rune) bool { return c == r }, r
}

// regexPieces cuts text as a Split with the behavior "Isolated" does.
func regexPieces(r *regex, text string) []int {
	lengths, gap := []int{}, 0
	for i := 0; i < len(text); {
		if end := r.match(text, i); end > i {
			if i > gap {
				lengths = append(lengths, i-gap)
			}
			lengths = append(lengths, end-i)
			i, gap = end, end
			continue
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		i += n
	}
	if gap < len(text) {
		lengths = append(lengths, len(text)-gap)
	}
	return lengths
}

// randomText draws from characters that the patterns tell apart, with long stretches of one kind.
func randomText(rng *rand.Rand) string {
	kinds := []string{"a", "zé", "AZÉ", "ǅ", "ʰـ", "中あ", "\u0301\u093f", "0", "19", "½²Ⅷ٣", " ", "  ", "\t\u00a0\u3000", "\n", "\r\n", ".", "!?-/:",
		"'", "’“", "$+<=>^~|`", "€", "s", "'s", "'LL", "'ſ", "re", "'ve", "/", "-", "\x00\u200d", "😀", "한", "ー", "ｱ！", "_", "龦ࠀ"}
	var s strings.Builder
	for range rng.IntN(12) {
		from := []rune(kinds[rng.IntN(len(kinds))])
		for range 1 + rng.IntN(3) {
			s.WriteRune(from[rng.IntN(len(from))])
		}
	}
	return s.String()
}

func TestScannersMatchAsTheirRegexes(t *testing.T) {
	t.Parallel()
	check := func(pattern string, cut cutter) {
		r := compile(pattern)
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 1))
		for range 4000 {
			text := randomText(rng)
			if got, want := pieceLengths(preTokenizer{cut}, text), regexPieces(r, text); !slices.Equal(got, want) {
				t.Errorf("%s: %q: pieces of %v bytes, want %v (seed %d)", pattern, text, got, want, seed)
				return
			}
		}
	}
	for pattern, known := range patterns() {
		check(pattern, known.cut)
	}
	check("[\\p{P}\\$\\+<=>\\^~\\|`]+", cutFalconPunct)
	check(`[\p{P}\$\+<=>\^~\|]+`, cutDefaultPunct)
	check("[\\p{P}!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]+", cutPunctRun)
}

// The matcher itself is held against golden cuts, so that an error in it cannot hide one in a scanner.
func TestGoldenCutsByRegex(t *testing.T) {
	t.Parallel()
	g := readCuts(t)
	for _, p := range g.Patterns {
		for i, text := range g.Strings {
			pieces := []string{text}
			for _, pattern := range p.Regexes {
				r := compile(pattern)
				var next []string
				for _, piece := range pieces {
					for _, n := range regexPieces(r, piece) {
						next, piece = append(next, piece[:n]), piece[n:]
					}
				}
				pieces = next
			}
			lengths := []int{}
			for _, piece := range pieces {
				lengths = append(lengths, len(piece))
			}
			if !slices.Equal(lengths, p.Lengths[i]) {
				t.Errorf("%s: %q: pieces of %v bytes, want %v", p.Name, text, lengths, p.Lengths[i])
			}
		}
	}
}

// A tokenizer.json with any of the golden regexes must get a scanner.
func TestGoldenRegexesAreKnown(t *testing.T) {
	t.Parallel()
	for _, p := range readCuts(t).Patterns {
		for _, pattern := range p.Regexes {
			s := stage{Behavior: "Isolated"}
			pattern = strings.ReplaceAll(pattern, `\"`, `"`) // the golden file escapes a quote that needs it not
			s.Pattern.Regex = &pattern
			if _, err := s.cutter(); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
}
