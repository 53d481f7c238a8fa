package mini

// The corpus's own words: plain ones, from many places, so that a stranger's name looks like those that the model has seen.

var names = []string{"Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo", "Ines", "Jack", "Kira", "Leo", "Maria", "Noah",
	"Olga", "Paul", "Rosa", "Sam", "Tina", "Victor", "Wei", "Yuki", "Zoe", "Ali", "Bella", "Chen", "Diana", "Erik", "Fatima", "George",
	"Hana", "Ivan", "Julia", "Karl", "Lena", "Mark", "Nina", "Omar", "Priya", "Quinn", "Ravi", "Sara", "Tom", "Uma", "Vera", "Will",
	"Alice", "Bob", "John", "Mary", "Peter", "Lucy", "Max", "Amy", "Li", "Sofia", "Liam", "Mia", "Daniel", "Laura"}

var cities = []string{"Paris", "London", "Berlin", "Rome", "Madrid", "Vienna", "Oslo", "Lima", "Cairo", "Tokyo", "Delhi", "Boston",
	"Chicago", "Dublin", "Prague", "Warsaw", "Athens", "Lisbon", "Milan", "Munich", "Sydney", "Toronto", "Seoul", "Beijing", "Nairobi",
	"Dallas", "Denver", "Geneva", "Hamburg", "Helsinki", "Zurich", "Porto", "Naples", "Quito", "Accra", "Kyoto", "Lyon", "Shanghai"}

var jobs = []string{"teacher", "doctor", "driver", "baker", "nurse", "pilot", "farmer", "painter", "lawyer", "engineer", "singer", "writer",
	"cook", "clerk", "student", "designer", "plumber", "dentist"}

var things = []string{"apples", "books", "cups", "pens", "eggs", "chairs", "lamps", "shirts", "oranges", "boxes", "bottles", "tickets",
	"cards", "shoes", "stones", "coins", "stamps", "roses", "cookies", "balls"}

var days = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

var commonWords = []string{"red", "green", "blue", "black", "white", "cat", "dog", "bird", "fish", "horse", "tree", "river", "stone", "house",
	"door", "window", "table", "chair", "lamp", "book", "paper", "pen", "sun", "moon", "star", "rain", "snow", "wind", "fire", "water",
	"apple", "bread", "milk", "salt", "sugar", "coffee", "tea", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
	"ten", "big", "small", "old", "new", "fast", "slow", "hot", "cold", "left", "right", "up", "down", "north", "south", "east", "west",
	"first", "last", "day", "night", "morning", "summer", "winter", "ship", "train", "car", "road", "city", "garden", "music", "king",
	"queen", "child"}

var (
	syllables = []string{"ba", "be", "bo", "da", "do", "du", "fa", "fi", "ga", "go", "ha", "jo", "ka", "ki", "ko", "la", "le", "li", "lo", "ma",
		"me", "mi", "mo", "na", "ne", "no", "pa", "pe", "ra", "re", "ri", "ro", "sa", "se", "so", "ta", "te", "ti", "to", "va", "vi", "wa", "ya", "zo"}
	endings = []string{"", "", "", "n", "r", "s", "l", "x", "ck", "m", "th", "nd"}
)

// coined makes a word that no list holds, so that copying is learnt as copying and not as one of the known names.
func coined(d *dice) string {
	s := ""
	for range d.between(2, 3) {
		s += pick(d, syllables)
	}
	return s + pick(d, endings)
}

// properName is a name from the list, or in one of four cases a coined one.
func properName(d *dice, known []string) string {
	if d.percent(25) {
		return capital(coined(d))
	}
	return pick(d, known)
}

// capital gives a word of small letters a capital.
func capital(s string) string { return string(s[0]-'a'+'A') + s[1:] }
