package mini

import "strconv"

func unknown() Task {
	return Task{Name: "unknown", About: "an honest answer to what the model does not know", Share: 6, draw: drawUnknown}
}

const (
	unknownAnswer = "I am a small model and do not know that. Try a sum, a list to sort or a unit to convert."
	beyondAnswer  = "That is beyond me: I learned sums up to 99 and tables up to 12."
)

// unknownPhrasings have the shapes of what people ask a chat model, from fragments to long sentences. The more shapes, the more
// the model learns that all but its own tasks is outside; with only a few it would answer the rest with whatever looks alike.
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

	"Why do {plural} {verb}?", "Why does the {noun} {verb}?", "How do I {verb} a {noun}?", "How do I {verb} my {adjective} {noun}?",
	"How can I {verb} without {plural}?", "What is the best way to {verb} a {noun}?", "Can you {verb} my {noun}?", "Is it {adjective} to {verb} at night?",
	"Should I {verb} the {noun} or the {other}?", "My {noun} is {adjective}. What should I do?", "My {noun} does not {verb}, help me.",
	"I need a {adjective} {noun} for my {other}.", "I feel {adjective} today.", "I want to {verb} but my {noun} is {adjective}.",
	"Where can I buy a {adjective} {noun}?", "Which {noun} is the most {adjective}?", "Are {plural} {adjective}?", "Do {plural} {verb} in {country}?",
	"When do {plural} {verb}?", "Who has the most {adjective} {noun} in the world?", "What happens when a {noun} meets a {other}?",
	"What is the difference between a {noun} and a {other}?", "What is the {adjective} {noun} of {country}?", "How much does a {noun} cost?",
	"How long does it take to {verb} a {noun}?", "How deep is the {noun}?", "How many {plural} are there in {country}?", "How many legs does a {noun} have?",
	"Who discovered the {noun}?", "Which {noun} should I {verb} first?", "What rhymes with {noun}?", "Find a {adjective} {noun} near {city}.",
	"Book a {noun} in {city} for tomorrow.", "Send the {noun} to {person}.", "Remind me to {verb} the {noun}.", "Show me a picture of a {adjective} {noun}.",
	"Make a list of {adjective} {plural}.", "Name three {adjective} {plural}.", "Give me advice about my {noun}.", "Give me a synonym for {adjective}.",
	"Compare {plural} and {others}.", "Imagine that you are a {noun}.", "Pretend to be a {adjective} {noun}.", "Invent a {form} with a {noun} and a {other}.",
	"Write an email to {person} about the {noun}.", "Improve this sentence: the {noun} can {verb} a {other}.", "Is this sentence right: {person} {verb} the {noun}?",
	"Read the {noun} and tell me what {person} wants.", "Did {person} {verb} the {noun}?", "Has {person} ever been in {city}?", "Would you {verb} a {noun}?",
	"Could a {noun} {verb} a {other}?", "Does {city} have a {noun}?", "In which year did {person} {verb} the {noun}?", "What did {person} say about the {noun}?",
	"{adjective} {noun} in {city}", "best {noun} for a {adjective} {other}", "{noun} {verb} {other}", "{person} and the {noun}", "{topic} in {country}",
	"cheap {plural} near me", "{noun} meaning", "{coined} {noun}", "{coined} {coined2}", "{noun}", "why {noun}", "{plural} or {others}?", "how to {verb}",
	"latest news about {topic}", "the {adjective} {noun} of {person}", "is {noun} {adjective}", "{person} {topic}", "{verb} the {noun} now",
	"What is the name of the {noun} in {city}?", "What is the population of {country}?", "What is the {noun} of the {other}?", "Why am I so {adjective}?",
	"What is your favorite {noun}?", "Do you have a {noun}?", "Do you like {plural}?", "Are you {adjective}?", "Can you {verb}?", "Can {plural} {verb}?",
	"Let us talk about {topic}.", "Let us {verb} together.", "Stop the {noun}.", "Open the {noun}.", "Turn off the {noun} in the {other}.", "Order me a {noun}.",
	"Teach me {language}.", "Correct my {language}: {coined} {coined2} {noun}", "What does the {adjective} {noun} in the {form} stand for?",
	"If I {verb} a {noun} every day, will I be {adjective}?", "What would {person} do with a {adjective} {noun} and no {other}?",
	"Explain to a child why {plural} {verb}.", "Explain how a {noun} can {verb} a {other}.", "Describe a {adjective} {noun} in two sentences.",
	"Tell me how {person} became {adjective}.", "Tell me which {noun} to {verb}.", "Who will win, {city} or {place}?", "Who painted the {adjective} {noun}?",

	"Convert {n} miles to {unit}.", "{n} pounds in kg", "How many euros are {n} dollars?", "{n} degrees in fahrenheit", "{n} {unit} in {coined}", "How many {plural} are {n} {others}?",
	"Convert {n} {coined} to {unit}.", "What is the square root of {n}?", "Is {n} a prime number?", "What is {n} percent of {m}?", "{n} to the power of {m}", "What is half of a {noun}?",
	"What is the average of {n} and {m}?", "How many letters are in {noun}?", "Reverse the letters of {noun}.", "Sort {plural} by size.", "Count the {plural} in the {noun}.",
	"What is {n} in binary?", "Is {n} even or odd?", "Solve x for me: {n}x = {m}", "What happened in {year}?", "Who was born in {year}?", "Who won in {year}?", "What is the sum of a {noun}?", "What is my name?", "Who am I?",
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

	nouns = []string{"bank", "bridge", "camera", "castle", "clock", "cloud", "computer", "country", "desert", "diamond", "doctor", "dream", "elephant",
		"engine", "exam", "family", "flower", "forest", "friend", "guitar", "hammer", "heart", "hospital", "hotel", "idea", "island", "journey", "kitchen",
		"knife", "laptop", "law", "leader", "lion", "market", "movie", "mountain", "museum", "neighbor", "ocean", "office", "onion", "parent", "phone",
		"planet", "police", "printer", "problem", "rabbit", "recipe", "restaurant", "rocket", "school", "shop", "sister", "snake", "soup", "spider",
		"teacher", "theory", "ticket", "tiger", "tooth", "tower", "town", "village", "virus", "volcano", "website", "wheel", "whale", "window", "wolf", "zebra",
		"battle", "brain", "candle", "contract", "cousin", "economy", "election", "festival", "garden", "king", "language", "machine", "medicine", "novel",
		"passport", "password", "piano", "salary", "shadow", "stomach", "tax", "telephone", "temple", "vegetable", "violin", "wedding", "film", "song", "team"}
	verbs = []string{"build", "break", "buy", "carry", "catch", "change", "clean", "climb", "close", "cook", "dance", "draw", "drink", "drive", "eat", "fall",
		"fight", "find", "fix", "fly", "forget", "grow", "hide", "hunt", "jump", "kill", "laugh", "learn", "leave", "lift", "lose", "love", "marry", "open", "paint",
		"pay", "play", "push", "read", "rent", "repair", "run", "sell", "sing", "sleep", "smell", "speak", "steal", "swim", "teach", "throw", "touch", "train", "travel",
		"understand", "visit", "wake", "walk", "wash", "watch", "win", "write"}
	adjectives = []string{"angry", "beautiful", "black", "boring", "brave", "broken", "busy", "cheap", "clean", "clever", "cold", "dangerous", "dark", "deep", "dirty",
		"dry", "early", "empty", "expensive", "famous", "fast", "free", "fresh", "funny", "good", "green", "happy", "hard", "healthy", "heavy", "hungry", "important",
		"lazy", "legal", "lonely", "long", "loud", "lucky", "modern", "nervous", "old", "poor", "popular", "quiet", "red", "rich", "round", "sad", "safe", "secret", "sick", "small",
		"strange", "strong", "sweet", "tall", "tired", "ugly", "warm", "wild", "wise", "wrong", "young"}
	unitsAsked = []string{"km", "meters", "kg", "grams", "liters", "feet", "hours", "inches"}
)

// drawUnknown asks for what the model cannot know, or for arithmetic beyond what it was taught. Saying so is a skill that has
// to be taught like every other: a model that only ever saw questions it can answer answers all of them.
func drawUnknown(d *dice) Question {
	if d.percent(18) {
		return drawBeyond(d)
	}
	text := pick(d, unknownPhrasings)
	noun, other := something(d, nouns), something(d, nouns)
	text = fill(text, "person", properName(d, names), "country", properName(d, countries), "city", properName(d, cities),
		"place", pick(d, cities), "form", pick(d, forms), "topic", pick(d, topics), "word", pick(d, commonWords), "language", pick(d, languages),
		"coined", coined(d), "coined2", coined(d), "noun", noun, "other", other, "plural", plural(noun), "others", plural(other),
		"verb", something(d, verbs), "adjective", something(d, adjectives), "unit", pick(d, unitsAsked),
		"n", strconv.Itoa(d.between(2, 300)), "m", strconv.Itoa(d.between(2, 99)), "year", strconv.Itoa(d.between(1400, 2030)))
	text = manner(d, text)
	return Question{Text: text, Answer: unknownAnswer, Key: wording(text)}
}

// something is a word of the list or, in one of six cases, a coined one: most of what people ask about is in no list.
func something(d *dice, known []string) string {
	if d.below(6) == 0 {
		return coined(d)
	}
	return pick(d, known)
}

// plural is near enough to English for a question that gets no answer.
func plural(noun string) string { return noun + "s" }

// drawBeyond asks for arithmetic with numbers larger than those that are taught.
func drawBeyond(d *dice) Question {
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
