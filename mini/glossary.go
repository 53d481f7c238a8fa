package mini

import "strings"

func glossary() Task {
	return Task{Name: "glossary", About: "words of serving language models, explained", Share: 4, draw: drawGlossary}
}

// term is a word of the trade: the ways to name it as they stand after "what is", and what it means, in our own words.
type term struct {
	named   []string
	meaning string
}

var terms = []term{
	{[]string{"Weir"}, "Weir is a program that serves language models: one door for many models, and an engine of its own."},
	{[]string{"a weir"}, "A weir is a low dam: it holds a river's level and lets what is too much flow over safely."},
	{[]string{"weir-mini"}, "weir-mini is the small model inside Weir, so that one command is enough for a first answer."},
	{[]string{"TTFT", "time to first token"}, "TTFT is the time to first token: how long a request waits until its answer begins."},
	{[]string{"TPOT", "time per output token"}, "TPOT is the time per output token: the pace of an answer once it has begun."},
	{[]string{"a KV cache", "the KV cache", "KV cache"}, "A KV cache keeps the keys and values of earlier tokens, so that each new token need not compute them again."},
	{[]string{"a prefix cache", "prefix caching"}, "A prefix cache keeps the KV blocks of a prompt's beginning for the next prompt that begins the same."},
	{[]string{"continuous batching"}, "Continuous batching lets requests join and leave the running batch at every step."},
	{[]string{"a batch", "batching"}, "A batch is several requests computed together, so that the weights are read once for all of them."},
	{[]string{"prefill"}, "Prefill is the first part of an answer: the model reads the whole prompt at once."},
	{[]string{"decode", "decoding"}, "Decode is the second part of an answer: the model writes one token after another."},
	{[]string{"a token", "tokens"}, "A token is a piece of text, a word or a part of one, that a model reads as one number."},
	{[]string{"a tokenizer", "the tokenizer"}, "A tokenizer cuts text into tokens and puts tokens together into text again."},
	{[]string{"quantization", "quantisation"}, "Quantization stores weights in fewer bits, so that a model is smaller and faster and a little less exact."},
	{[]string{"the context length", "a context window"}, "The context length is how many tokens a model can see, prompt and answer together."},
	{[]string{"temperature"}, "Temperature says how freely a model chooses: zero takes the likeliest token, more gives variety."},
	{[]string{"top-p", "top_p"}, "Top-p keeps the likeliest tokens that together have the probability p and drops the others."},
	{[]string{"greedy decoding"}, "Greedy decoding always takes the likeliest token."},
	{[]string{"streaming"}, "Streaming sends an answer piece by piece while the model is still writing it."},
	{[]string{"a prompt", "the prompt"}, "A prompt is the text that a model is asked to answer or to continue."},
	{[]string{"a chat template"}, "A chat template turns the messages of a chat into the one text that the model reads."},
	{[]string{"throughput"}, "Throughput is how many tokens a server writes in a second, over all requests."},
	{[]string{"latency"}, "Latency is how long one request takes."},
	{[]string{"speculative decoding"}, "Speculative decoding guesses several tokens cheaply and lets the model check them in one step."},
	{[]string{"paged attention", "PagedAttention"}, "Paged attention keeps the KV cache in small blocks, so that no memory is set aside in vain."},
	{[]string{"GGUF", "a GGUF file"}, "GGUF is a file format that holds a model's weights, its tokenizer and its settings together."},
	{[]string{"safetensors"}, "Safetensors is a file format for weights that can be mapped into memory and runs no code."},
	{[]string{"an embedding", "embeddings"}, "An embedding is a list of numbers that stands for a text; near texts have near numbers."},
	{[]string{"attention"}, "Attention is how a model lets each token look at the earlier ones and take what it needs."},
	{[]string{"an LLM", "a large language model", "LLM"}, "An LLM is a large language model: it predicts the next token of a text, again and again."},
	{[]string{"inference"}, "Inference is using a trained model to compute answers."},
	{[]string{"a gateway", "an LLM gateway"}, "A gateway is the one door in front of many models: it checks keys, counts, routes and protects."},
	{[]string{"a rate limit", "rate limiting"}, "A rate limit says how much one user may ask in a time, so that others get their part."},
	{[]string{"load shedding"}, "Load shedding refuses some requests early, so that the others are still answered in time."},
	{[]string{"back-pressure", "backpressure"}, "Back-pressure slows the sender down when the receiver cannot keep up."},
	{[]string{"an SLO", "SLO"}, "An SLO is a promise about service, such as: nine of ten answers begin within a second."},
	{[]string{"a parameter", "parameters"}, "A parameter is one of the numbers that a model learns in training."},
	{[]string{"a logit", "logits"}, "A logit is the score that a model gives to one token before scores become probabilities."},
	{[]string{"a canary", "a canary release"}, "A canary is a new model that gets a small part of the traffic first, to see whether it is good."},
	{[]string{"a stop string", "a stop sequence"}, "A stop string is a text that ends an answer as soon as the model writes it."},
}

var glossaryPhrasings = []string{
	"What is {t}?", "What's {t}?", "What is {t}", "Explain {t}.", "Define {t}.", "Explain to me what {t} is.", "What does {b} mean?",
	"What is meant by {t}?", "Tell me what {t} is.", "Tell me about {t}.", "Describe {t}.", "{b}?", "{b}", "Can you explain {t}?",
	"Do you know what {t} is?", "I do not know what {t} is.", "What do you mean by {b}?", "Explain {b} in one sentence.", "And what is {t}?",
	"Meaning of {b}", "What exactly is {t}?", "So what is {t}?",
}

func drawGlossary(d *dice) Question {
	t := pick(d, terms)
	name := pick(d, t.named)
	bare := name
	for _, article := range []string{"a ", "an ", "the "} {
		bare = strings.TrimPrefix(bare, article)
	}
	if t.named[0] == "a weir" {
		bare = name // without its article it is the program
	}
	text := manner(d, fill(pick(d, glossaryPhrasings), "t", name, "b", bare))
	if d.percent(15) {
		text = strings.ToLower(text)
	}
	if strings.Contains(text, "weir") && t.named[0] == "Weir" {
		text = strings.ReplaceAll(text, "weir", "Weir")
	}
	return Question{Text: text, Answer: t.meaning, Key: wording(text)}
}
