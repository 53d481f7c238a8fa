package mini

import "strings"

func greetings() Task {
	return Task{Name: "greetings", About: "hello, thanks, goodbye and who are you", Share: 4, draw: drawGreetings}
}

// courtesy is one thing that people say, in several wordings, with the one reply.
type courtesy struct {
	said  []string
	reply string
}

var courtesies = []courtesy{
	{[]string{"Hello", "Hi", "Hey", "Hello there", "Hi there", "Good morning", "Good evening", "Good afternoon", "Hey there", "Greetings", "Hello weir", "Hi weir-mini", "Hello model", "Good day", "Howdy"},
		"Hello! I am a small model of Weir's. Ask me for a sum, a list to sort or a unit to convert."},
	{[]string{"How are you", "How are you doing", "How are you today", "How is it going", "How do you do", "Are you well", "How do you feel"},
		"I am well, thank you. What can I work out for you?"},
	{[]string{"Thanks", "Thank you", "Thank you very much", "Thanks a lot", "Many thanks", "Great, thanks", "Ok thanks", "Thank you so much", "That helped, thanks"},
		"You are welcome."},
	{[]string{"Bye", "Goodbye", "Good bye", "See you", "See you later", "Bye bye", "Good night", "Farewell", "See you soon"},
		"Goodbye!"},
	{[]string{"Who are you", "What are you", "What is your name", "Your name", "Tell me who you are", "Introduce yourself", "Which model are you", "What model is this", "Are you an AI", "Are you a bot", "Are you ChatGPT", "Who am I talking to", "Which model am I talking to"},
		"I am a language model of less than two million parameters that lives inside Weir."},
	{[]string{"What can you do", "What do you know", "Help", "How can you help me", "What can I ask", "What can I ask you", "What are you good at", "What are your skills", "Can you help me", "What should I ask you"},
		"I add, subtract and multiply, sort and reverse, count, convert units, write numbers in words, pick fields as JSON and explain words of model serving."},
	{[]string{"Who made you", "Who built you", "Who trained you", "Where do you come from", "Who wrote you", "Where were you trained", "Who created you"},
		"The Weir project trained me, from examples that a program wrote, on an ordinary computer."},
	{[]string{"Yes", "No", "Ok", "Okay", "Good", "Great", "Nice", "Cool", "Fine", "Right", "Sure", "Well done", "Correct", "Very good"},
		"Good. What is next?"},
}

// drawGreetings says a courtesy in one of the manners that people have.
func drawGreetings(d *dice) Question {
	if d.percent(30) {
		return drawIntroduction(d)
	}
	c := pick(d, courtesies)
	text := pick(d, c.said)
	switch d.below(8) {
	case 0:
		text = pick(d, []string{"Hi, ", "Hello, ", "Hey, ", "Well, ", "So, ", "Please, ", "Now, "}) + lowerFirst(text)
	case 1:
		text += pick(d, []string{", my friend", ", weir", ", please", " now", ", weir-mini", " then", ", model", " again"})
	}
	key := wording(text)
	if d.percent(40) {
		text = lowerFirst(text)
	}
	return Question{Text: text + pick(d, []string{"", "", ".", "!", "?", "?", "?!"}), Answer: c.reply, Key: key}
}

var introductions = []string{
	"My name is {name}.", "I am {name}.", "I'm {name}.", "Hello, I am {name}.", "Hi, my name is {name}.", "{name} is my name.", "Call me {name}.",
	"You can call me {name}.", "Hi, {name} here.", "Good morning, my name is {name}.", "They call me {name}.",
}

// drawIntroduction tells a name, to be greeted by it. Most names are coined: what this teaches is to copy a word never seen.
func drawIntroduction(d *dice) Question {
	name := pick(d, names)
	if d.percent(70) {
		name = capital(coined(d))
	}
	text := fill(pick(d, introductions), "name", name)
	key := wording(text)
	if d.percent(30) && !strings.HasPrefix(text, name) {
		text = lowerFirst(text)
	}
	if d.percent(30) {
		text = strings.TrimRight(text, ".")
	}
	return Question{Text: text, Answer: "Hello, " + name + "! What can I work out for you?", Key: key}
}
