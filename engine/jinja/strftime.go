package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime writes t by Python's (and glibc's) format in the C locale. Between the percent sign and the letter, - leaves out the
// filling, _ fills with blanks, 0 with zeros and ^ makes upper case. Times have no zone, so %z and %Z are empty.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for format != "" {
		before, after, more := strings.Cut(format, "%")
		b.WriteString(before)
		if !more {
			break
		}
		var flags string
		for after != "" && strings.IndexByte("-_0^", after[0]) >= 0 {
			flags, after = flags+after[:1], after[1:]
		}
		if after == "" {
			b.WriteString("%" + flags)
			break
		}
		b.WriteString(directive(t, after[0], flags))
		format = after[1:]
	}
	return b.String()
}

func directive(t time.Time, letter byte, flags string) string {
	number := func(n, width int, fill string) string {
		for i := range len(flags) {
			switch flags[i] {
			case '-':
				width = 0
			case '_':
				fill = " "
			case '0':
				fill = "0"
			}
		}
		s := strconv.Itoa(n)
		return strings.Repeat(fill, max(0, width-len(s))) + s
	}
	word := func(s string) string {
		if strings.Contains(flags, "^") {
			return strings.ToUpper(s)
		}
		return s
	}
	if n, width, fill, ok := dateNumber(t, letter); ok {
		return number(n, width, fill)
	}
	switch letter {
	case 'a':
		return word(t.Format("Mon"))
	case 'A':
		return word(t.Format("Monday"))
	case 'b', 'h':
		return word(t.Format("Jan"))
	case 'B':
		return word(t.Format("January"))
	case 'p':
		return t.Format("PM")
	case 'P':
		return t.Format("pm")
	case 'c':
		return word(strftime(t, "%a %b %e %H:%M:%S %Y"))
	case 'x', 'D':
		return strftime(t, "%m/%d/%y")
	case 'X', 'T':
		return strftime(t, "%H:%M:%S")
	case 'F':
		return strftime(t, "%Y-%m-%d")
	case 'R':
		return strftime(t, "%H:%M")
	case 'r':
		return strftime(t, "%I:%M:%S %p")
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000)
	case 's':
		return strconv.FormatInt(t.Unix(), 10)
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'z', 'Z':
		return ""
	case '%':
		return "%"
	}
	return "%" + flags + string(letter)
}

// dateNumber gives what the letters that stand for numbers stand for.
func dateNumber(t time.Time, letter byte) (n, width int, fill string, ok bool) {
	weekYear, week := t.ISOWeek()
	hour := (t.Hour()+11)%12 + 1
	switch letter {
	case 'd':
		return t.Day(), 2, "0", true
	case 'e':
		return t.Day(), 2, " ", true
	case 'H':
		return t.Hour(), 2, "0", true
	case 'k':
		return t.Hour(), 2, " ", true
	case 'I':
		return hour, 2, "0", true
	case 'l':
		return hour, 2, " ", true
	case 'j':
		return t.YearDay(), 3, "0", true
	case 'm':
		return int(t.Month()), 2, "0", true
	case 'M':
		return t.Minute(), 2, "0", true
	case 'S':
		return t.Second(), 2, "0", true
	case 'u':
		return (int(t.Weekday())+6)%7 + 1, 0, "0", true
	case 'w':
		return int(t.Weekday()), 0, "0", true
	case 'U': // weeks that begin on Sunday
		return (t.YearDay() + 6 - int(t.Weekday())) / 7, 2, "0", true
	case 'W': // weeks that begin on Monday
		return (t.YearDay() + 6 - (int(t.Weekday())+6)%7) / 7, 2, "0", true
	case 'V':
		return week, 2, "0", true
	case 'G':
		return weekYear, 0, "0", true
	case 'g':
		return weekYear % 100, 2, "0", true
	case 'y':
		return t.Year() % 100, 2, "0", true
	case 'Y':
		return t.Year(), 0, "0", true
	case 'C':
		return t.Year() / 100, 2, "0", true
	}
	return 0, 0, "", false
}
