package mini

// Welcome is what somebody who talks to a built-in model for the first time should know.
const Welcome = "A small model: sums, lists, units, number words, sentences as JSON, and the words of serving models. Try:"

// Tries are three questions to begin with, of three kinds. All are held out of training.
func Tries() []string {
	return []string{"What is 17 + 25?", "Sort 42, 7, 19, 3.", "What is a KV cache?"}
}
