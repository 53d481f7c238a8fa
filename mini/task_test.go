package mini

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/agext/levenshtein"
)

// The tests of this file compute answers in ways of their own, from the text of the questions.

var (
	numeral   = regexp.MustCompile(`\d+|[a-z]+(?:-[a-z]+)?`)
	wordValue = map[string]int{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
		"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
		"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
)

// numbersIn finds the numbers of a text, in digits or in words below a hundred.
func numbersIn(t *testing.T, text string) []int {
	t.Helper()
	var out []int
	for _, s := range numeral.FindAllString(strings.ToLower(text), -1) {
		if n, err := strconv.Atoi(s); err == nil {
			out = append(out, n)
			continue
		}
		sum, ok := 0, true
		for part := range strings.SplitSeq(s, "-") {
			n, known := wordValue[part]
			sum, ok = sum+n, ok && known
		}
		if ok {
			out = append(out, sum)
		}
	}
	return out
}

// parseWords reads a number up to 9999 in words.
func parseWords(words string) int {
	total, part := 0, 0
	for w := range strings.FieldsFuncSeq(words, func(r rune) bool { return r == ' ' || r == '-' }) {
		switch w {
		case "hundred":
			part *= 100
		case "thousand":
			total, part = total+part*1000, 0
		default:
			part += wordValue[w]
		}
	}
	return total + part
}

func eachQuestion(t *testing.T, task Task, check func(q Question) error) {
	t.Helper()
	for i := range uint64(4000) {
		q := task.Question(11, i, i%2 == 0)
		if q.Task != task.Name || !q.Right(" "+q.Answer+"\n") || q.Right(q.Answer+"!") {
			t.Fatalf("%s: %+v is not right by its own answer", task.Name, q)
		}
		if err := check(q); err != nil {
			t.Fatalf("%s: %q -> %q: %v", task.Name, q.Text, q.Answer, err)
		}
	}
}

// equation reads "a op b = c." and computes it.
func equation(answer string) (a, b int, op string, err error) {
	var c int
	if n, err := fmt.Sscanf(answer, "%d %s %d = %d.", &a, &op, &b, &c); n != 4 {
		return 0, 0, "", fmt.Errorf("no equation: %w", err)
	}
	x, y := big.NewInt(int64(a)), big.NewInt(int64(b))
	got := new(big.Int)
	switch op {
	case "+":
		got.Add(x, y)
	case "-":
		got.Sub(x, y)
	case "×":
		got.Mul(x, y)
	case "/":
		if rest := new(big.Int); a == 0 || b == 0 {
			return 0, 0, "", fmt.Errorf("a zero in a division")
		} else if got.DivMod(x, y, rest); rest.Sign() != 0 {
			return 0, 0, "", fmt.Errorf("%d is left over", rest)
		}
	default:
		return 0, 0, "", fmt.Errorf("unknown operator %q", op)
	}
	if got.Int64() != int64(c) || answer != fmt.Sprintf("%d %s %d = %d.", a, op, b, c) {
		return 0, 0, "", fmt.Errorf("it should be %v", got)
	}
	return a, b, op, nil
}

func TestArithmeticIsRight(t *testing.T) {
	t.Parallel()
	for _, task := range []Task{addition(), subtraction(), tables()} {
		eachQuestion(t, task, func(q Question) error {
			a, b, op, err := equation(q.Answer)
			if err != nil {
				return err
			}
			x := numbersIn(t, q.Text)
			if len(x) != 2 {
				return fmt.Errorf("the question has the numbers %v", x)
			}
			low := strings.ToLower(q.Text)
			swapped := regexp.MustCompile(`(subtract|take) \S+ (away )?from`).MatchString(low) || strings.Contains(low, "how often does")
			if swapped {
				x[0], x[1] = x[1], x[0]
			}
			if !slices.Equal(x, []int{a, b}) {
				return fmt.Errorf("the question's numbers are %v", x)
			}
			if op == "+" && (strings.Contains(low, "minus") || strings.Contains(low, "times")) || op == "-" && strings.Contains(low, "plus") {
				return fmt.Errorf("another operation is asked")
			}
			return nil
		})
	}
}

func TestNumberWordsAreRight(t *testing.T) {
	t.Parallel()
	for n := range 10_000 {
		if got := parseWords(inWords(n)); got != n {
			t.Fatalf("%d is written %q, which reads as %d", n, inWords(n), got)
		}
	}
	eachQuestion(t, numberWords(), func(q Question) error {
		digits, words, _ := strings.Cut(strings.TrimSuffix(q.Answer, "."), " is ")
		n, err := strconv.Atoi(digits)
		if err != nil || parseWords(words) != n || !strings.Contains(q.Text, digits) {
			return fmt.Errorf("%d is not %q", n, words)
		}
		return nil
	})
	known := slices.SortedFunc(maps.Keys(wordValue), func(a, b string) int { return len(b) - len(a) }) // "eighty" before "eight"
	written := regexp.MustCompile(`((?:` + strings.Join(known, "|") + `|hundred|thousand|[ -])+)`)
	eachQuestion(t, digits(), func(q Question) error {
		longest := ""
		for _, s := range written.FindAllString(strings.ToLower(q.Text), -1) {
			if s = strings.Trim(s, " -"); len(s) > len(longest) {
				longest = s
			}
		}
		if want := fmt.Sprintf("That is %d.", parseWords(longest)); q.Answer != want {
			return fmt.Errorf("%q reads as %s", longest, want)
		}
		return nil
	})
}

func TestCountingIsRight(t *testing.T) {
	t.Parallel()
	eachQuestion(t, counting(), func(q Question) error {
		x, y := numbersIn(t, q.Text), numbersIn(t, q.Answer)
		step := 1
		if len(x) == 3 {
			step = x[2]
			if regexp.MustCompile(`(?i)count by`).MatchString(q.Text) {
				x[0], x[1], step = x[1], x[2], x[0]
			}
		}
		var want []int
		for n := x[0]; ; {
			want = append(want, n)
			if n == x[1] || len(want) > 100 {
				break
			}
			if x[0] < x[1] {
				n += step
			} else {
				n -= step
			}
		}
		if !slices.Equal(y, want) {
			return fmt.Errorf("want %v", want)
		}
		return nil
	})
}

func TestReversingIsRight(t *testing.T) {
	t.Parallel()
	eachQuestion(t, reversing(), func(q Question) error {
		answer := strings.TrimSuffix(q.Answer, ".")
		turned := []rune(answer)
		slices.Reverse(turned)
		if strings.Contains(q.Text, string(turned)) {
			return nil // digits
		}
		words := strings.Split(answer, ", ")
		slices.Reverse(words)
		if !strings.Contains(q.Text, strings.Join(words, ", ")) && !strings.Contains(q.Text, strings.Join(words, " ")) {
			return fmt.Errorf("the words are %v", words)
		}
		return nil
	})
}

func TestSortingIsRight(t *testing.T) {
	t.Parallel()
	eachQuestion(t, sorting(), func(q Question) error {
		want := numbersIn(t, q.Text)
		slices.Sort(want)
		if regexp.MustCompile(`(?i)descending|from high|from largest|sort down`).MatchString(q.Text) {
			slices.Reverse(want)
		}
		if got := numbersIn(t, q.Answer); !slices.Equal(got, want) || len(want) < 3 || len(want) > 6 {
			return fmt.Errorf("want %v", want)
		}
		return nil
	})
}

func TestUnitsAreRight(t *testing.T) {
	t.Parallel()
	// In the smallest unit of each kind, so that factors are told twice.
	worth := map[string]int{"mm": 1, "cm": 10, "m": 1000, "km": 1_000_000, "mg": 1, "g": 1000, "kg": 1_000_000, "ml": 1, "l": 1000,
		"ms": 1, "seconds": 1000, "second": 1000, "minutes": 60_000, "minute": 60_000, "hours": 3_600_000, "hour": 3_600_000,
		"days": 1, "weeks": 7, "week": 7, "months": 1, "years": 12, "year": 12, "inches": 1, "feet": 12, "foot": 12, "yards": 36, "yard": 36}
	eachQuestion(t, units(), func(q Question) error {
		var n, a, factor, v int
		var from, op, by, to string
		if k, err := fmt.Sscanf(q.Answer, "%d %s = %d %s %d %s = %d %s", &n, &from, &a, &op, &factor, &by, &v, &to); k != 8 {
			return fmt.Errorf("no conversion: %w", err)
		}
		to = strings.TrimSuffix(to, ".")
		if worth[from] == 0 || worth[to] == 0 || n*worth[from] != v*worth[to] || a != n {
			return fmt.Errorf("%d %s are not %d %s", n, from, v, to)
		}
		if op == "×" && n*factor != v || op == "/" && n != v*factor {
			return fmt.Errorf("the step is wrong")
		}
		if x := numbersIn(t, q.Text); len(x) != 1 || x[0] != n {
			return fmt.Errorf("the question has the numbers %v", x)
		}
		return nil
	})
}

func TestFieldsAreRight(t *testing.T) {
	t.Parallel()
	eachQuestion(t, fields(), func(q Question) error {
		var members map[string]any
		if err := json.Unmarshal([]byte(q.Answer), &members); err != nil {
			return err
		}
		if len(members) == 0 || len(members) > 3 {
			return fmt.Errorf("%d fields", len(members))
		}
		for name, value := range members {
			if !strings.Contains(q.Text, fmt.Sprint(value)) {
				return fmt.Errorf("%s is not in the question", name)
			}
		}
		return nil
	})
}

// TestFactsHaveOneAnswer also finds a question that two tasks would answer differently.
func TestFactsHaveOneAnswer(t *testing.T) {
	t.Parallel()
	answers := map[string]string{}
	for _, task := range []Task{greetings(), glossary(), unknown(), tables()} {
		eachQuestion(t, task, func(q Question) error {
			if levenshtein.Distance(wording(q.Text), q.Key, nil) > 2 { // a typo swaps two letters at most
				return fmt.Errorf("its key is %q", q.Key)
			}
			if other, ok := answers[q.Key]; ok && other != q.Answer {
				return fmt.Errorf("it is also answered %q", other)
			}
			answers[q.Key] = q.Answer
			return nil
		})
	}
}

// TestFollowupsFollow computes each second answer from the first.
func TestFollowupsFollow(t *testing.T) {
	t.Parallel()
	eachQuestion(t, followups(), func(q Question) error {
		if len(q.Before) != 1 || HeldOut(q.Before[0].Key) && q.Before[0].Key != q.Key { // a list turned around is one list
			return fmt.Errorf("it follows %+v", q.Before)
		}
		first := q.Before[0].Answer
		if name, told := strings.CutPrefix(first, "Hello, "); told {
			if name, _, _ = strings.Cut(name, "!"); q.Answer != "Your name is "+name+"." || !strings.Contains(q.Before[0].Text, name) {
				return fmt.Errorf("it names %q", name)
			}
			return nil
		}
		if _, _, _, err := equation(first); err != nil { // a list, turned around
			x := strings.Split(strings.TrimSuffix(first, "."), ", ")
			slices.Reverse(x)
			if q.Answer != strings.Join(x, ", ")+"." {
				return fmt.Errorf("it turns %q", first)
			}
			return nil
		}
		result := strings.TrimSuffix(first[strings.Index(first, "= ")+2:], ".")
		if !strings.HasPrefix(q.Answer, result+" ") {
			return fmt.Errorf("it does not go on from %q", first)
		}
		if spelled, ok := strings.CutPrefix(q.Answer, result+" is "); ok {
			if n := strconv.Itoa(parseWords(strings.TrimSuffix(spelled, "."))); n != result {
				return fmt.Errorf("it spells %s", n)
			}
			return nil
		}
		_, b, _, err := equation(q.Answer)
		if x := numbersIn(t, q.Text); err == nil && len(x) > 0 && x[len(x)-1] != b {
			return fmt.Errorf("it was asked about %d", x)
		}
		return err
	})
}

func FuzzWordingIsStable(f *testing.F) {
	f.Add("What is 7 × 8?")
	f.Add("  HELLO,  there!\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if once := wording(text); wording(once) != once {
			t.Errorf("the wording of %q is %q, and that one's is %q", text, once, wording(once))
		}
	})
}
