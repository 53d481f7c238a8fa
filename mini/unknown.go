package mini

import "strconv"

func unknown() Task {
	return Task{Name: "unknown", About: "an honest answer to what the model does not know", Share: 3, draw: drawUnknown}
}

const (
	unknownAnswer = "I am a small model and do not know that. Try a sum, a list to sort or a unit to convert."
	beyondAnswer  = "That is beyond me: I learned sums up to 99 and tables up to 12."
)

var unknownPhrasings = []string{
	"Who is {person}?", "Who was {person}?", "When was {person} born?", "What is the capital of {country}?", "Where is {city}?",
	"How many people live in {city}?", "What is the weather in {city}?", "Will it rain in {city} tomorrow?", "How far is it from {city} to {place}?",
	"Write a {form} about {topic}.", "Write me a {form}.", "Tell me a {form} about {topic}.", "Tell me a joke.", "Tell me something about {topic}.",
	"Tell me about {country}.", "What is the history of {country}?", "Translate {word} into {language}.", "How do you say {word} in {language}?",
	"What is {topic}?", "What is {coined}?", "What is a {coined}?", "Explain {topic}.", "Explain {coined}.", "What does {coined} mean?",
	"Why is {topic} important?", "How does {topic} work?", "How do I cook {word}?", "Give me a recipe for {word}.", "Who won the game in {city}?",
	"Who is the president of {country}?", "Which language do they speak in {country}?", "What year is it?", "What day is it today?",
	"What time is it?", "Who wrote {coined}?", "Recommend a book about {topic}.", "What should I eat in {city}?", "Fix my {language} homework.",
	"Write code for {topic}.", "Write a program that plays {topic}.", "What is the meaning of life?", "Do you love {person}?", "Is {person} nice?",
	"How old is {person}?", "Where does {person} live?", "What do you think about {topic}?", "Summarize {topic}.", "Plan a trip to {city}.",
	"Who invented {topic}?", "What color is {topic}?", "Draw a {word}.", "Sing a song about {person}.", "Spell the name {person}.",
	"How tall is {person}?", "Describe {city}.", "Can you drive to {city}?", "Play {topic} with me.", "Say something in {language}.",
}

var beyondPhrasings = []string{
	"What is {x} + {y}?", "{x} + {y}", "{x}+{y}", "{x} - {y}", "{x}-{y}", "What is {x} - {y}?", "Add {x} and {y}.", "What is {x} plus {y}?",
	"What is {p} x {q}?", "{p} * {q}", "{p} x {q}", "{p}*{q}", "What is {p} times {q}?", "Multiply {p} by {q}.",
	"What is {x} minus {y}?", "Subtract {y} from {x}.", "{z} / {q}", "What is {z} divided by {q}?", "Divide {z} by {q}.",
}

var (
	countries = []string{"France", "Spain", "Italy", "China", "Japan", "India", "Brazil", "Peru", "Kenya", "Egypt", "Canada", "Poland", "Norway",
		"Mexico", "Germany", "Greece", "Turkey", "Chile", "Sweden", "Russia"}
	topics = []string{"love", "history", "football", "chess", "physics", "music", "the sea", "the moon", "war", "peace", "money", "art", "biology",
		"rain", "winter", "quantum physics", "gravity", "evolution", "democracy", "the internet", "politics", "philosophy", "happiness",
		"the universe", "football rules", "cooking", "cats", "dogs", "trees", "dinosaurs", "climate", "space", "chemistry", "a black hole"}
	forms     = []string{"poem", "story", "song", "letter", "joke", "speech", "novel", "report", "tale", "haiku"}
	languages = []string{"French", "German", "Spanish", "Chinese", "Italian", "Latin", "Python", "Java", "Russian", "Dutch"}
)

// drawUnknown asks for what the model cannot know, or for arithmetic beyond what it was taught. Saying so is a skill that has
// to be taught like every other: a model that only ever saw questions it can answer answers all of them.
func drawUnknown(d *dice) Question {
	if d.percent(25) {
		x, y := d.between(100, 999), d.between(10, 999)
		p, q := d.between(13, 99), d.between(3, 99)
		if d.percent(25) {
			x *= 10
		}
		if d.percent(50) {
			x, y, p, q = max(x, y), min(x, y), q, p
		}
		text := manner(d, fill(pick(d, beyondPhrasings), "x", strconv.Itoa(x), "y", strconv.Itoa(y), "p", strconv.Itoa(p), "q", strconv.Itoa(q), "z", strconv.Itoa(d.between(145, 999))))
		return Question{Text: text, Answer: beyondAnswer, Key: wording(text)}
	}
	text := manner(d, fill(pick(d, unknownPhrasings), "person", properName(d, names), "country", pick(d, countries), "city", properName(d, cities),
		"place", pick(d, cities), "form", pick(d, forms), "topic", pick(d, topics), "word", pick(d, commonWords), "language", pick(d, languages),
		"coined", coined(d)))
	return Question{Text: text, Answer: unknownAnswer, Key: wording(text)}
}
