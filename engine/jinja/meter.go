package jinja

import "math/big"

// The bounds of a template's text. Python's own recursion limit refuses what nests as deep as these, or less deep.
const (
	sourceMax = 256 << 10 // bytes of a template; the longest of a hundred real ones has 17,000
	nestMax   = 100       // statements in statements, and brackets in brackets
	depthMax  = 1000      // expressions in expressions; a chain of a + b + c nests once a link
	branchMax = 1 << 20   // names that the branches of all ifs know, together; real templates have some thousand
)

// The bounds of one rendering. They are far above what chats need and end a hostile template within about a second.
const (
	// stepsMax counts computed nodes, visited items, and 64 bytes of text that are looked at. A hundred messages take some ten
	// thousand; ten million are about a second. Fewer would refuse long conversations under templates that scan all messages
	// for each, more would let a template hold a core for longer.
	stepsMax = 10_000_000
	// bytesMax bounds what all made values take together, most of it garbage soon. The largest body is 32 MB, of which a template
	// makes a handful of copies; less than eight times that would refuse it, more would be memory that one request can hold. A
	// template that gathers its text in a variable copies it once a message: that is refused from half a megabyte in a thousand
	// messages on.
	bytesMax  = 256 << 20
	callsMax  = 200     // macros and recursive loops inside each other; Python ends at 197
	rangeMax  = 100_000 // as Jinja's sandbox has it
	intBits   = 1 << 14 // of a whole number; Python writes none above 4,300 digits, which are 14,285 bits
	widthMax  = 1 << 20 // of a padded or formatted field
	formatMax = 1 << 12 // bytes of a date's format
	// waitingMax bounds the stack: expressions in expressions of macros in macros, and iterators that feed each other. Python
	// ends at 1000 of its frames; one here takes up to a kilobyte.
	waitingMax = 10_000
	digitsMax  = 4300 // of a whole number that is read or written, as Python has it
)

const (
	slotBytes   = 16 // of a list's item
	objectBytes = 64 // of an object with nothing in it
	entryBytes  = 96 // of a dict's entry
	lookBytes   = 64 // of text that are looked at in one step
)

// meter holds what a rendering may still use.
type meter struct {
	steps, bytes int
	depth        int // computations that wait for others
}

func fullMeter() meter { return meter{steps: stepsMax, bytes: bytesMax} }

// deeper takes a step into a computation that the one before waits for; who calls it counts depth down after that.
func (m *meter) deeper() {
	m.spend(1)
	m.depth++
	if m.depth > waitingMax {
		fail(recursionError, "computations nest deeper than %d", waitingMax)
	}
}

// spend takes n steps.
func (m *meter) spend(n int) {
	m.steps -= n
	if m.steps < 0 {
		fail(limitError, "the template takes more than %d steps", stepsMax)
	}
}

// look takes the steps for reading n bytes of text.
func (m *meter) look(n int) { m.spend(1 + n/lookBytes) }

// classify takes the steps for telling of what kind each character of s is.
func (m *meter) classify(s string) {
	if isASCII(s) {
		m.spend(1 + len(s)/8)
	} else {
		m.spend(1 + len(s)/2)
	}
}

// grow takes n bytes of memory before they are allocated, and the steps for filling them.
func (m *meter) grow(n int) {
	if n > m.bytes || n < 0 {
		m.bytes = 0
		fail(limitError, "the template makes more than %d bytes of text and lists", bytesMax)
	}
	m.bytes -= n
	m.spend(n / lookBytes)
}

// growTimes takes n bytes k times.
func (m *meter) growTimes(n, k int) {
	if n > 0 && k > m.bytes/n {
		n, k = bytesMax+1, 1
	}
	m.grow(n * k)
}

// weigh looks at v as far as its own text or items go, so that comparing and searching large values is not free.
func (m *meter) weigh(v Value) {
	switch v := v.(type) {
	case string:
		m.look(len(v))
	case markup:
		m.look(len(v))
	case *List:
		m.spend(1 + len(v.Items)/8)
	case *big.Int:
		m.spend(1 + v.BitLen()*v.BitLen()/(1<<16)) // products, quotients and decimals take the square
	default:
		m.spend(1)
	}
}
