package flood

import (
	"math"
	"strconv"

	"github.com/weir-ai/weir/workload"
)

// words are short, common and without capitals or signs, so that most tokenizers have one token for each with the blank before it.
var words = [...]string{
	"time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state", "family", "student", "group",
	"country", "problem", "hand", "part", "place", "case", "week", "company", "system", "program", "question", "work", "government", "number", "night", "point",
	"home", "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye", "job", "word",
	"business", "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game", "line", "end", "member", "law",
	"car", "city", "community", "name", "president", "team", "minute", "idea", "kid", "body", "information", "back", "parent", "face", "others", "level",
	"office", "door", "health", "person", "art", "war", "history", "party", "result", "change", "morning", "reason", "research", "girl", "guy", "moment",
	"air", "teacher", "force", "education", "foot", "boy", "age", "policy", "process", "music", "market", "sense", "nation", "plan", "college", "interest",
	"death", "experience", "effect", "use", "class", "control", "care", "field", "development", "role", "effort", "rate", "heart", "drug", "show", "leader",
}

// prompter makes the texts of prompts. What a trace's blocks say is equal is equal, word by word; all else is drawn anew for each
// request, so that no cache helps that would not have helped those who were recorded.
type prompter struct {
	perToken float64 // words a token
	overhead int     // tokens that the server puts around a prompt
	context  int     // tokens that the model takes, prompt and answer together; 0 where nobody knows
	seed     uint64
}

// mix is splitmix64: a stream of numbers from any seed, without state to allocate.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendWords appends n words drawn from a seed. Each number gives nine words of seven bits.
func appendWords(b []byte, seed uint64, n int) []byte {
	for i := 0; i < n; {
		seed = mix(seed)
		for bits := seed; i < n && bits > 1; bits >>= 7 {
			b = append(b, ' ')
			b = append(b, words[bits&127]...)
			i++
		}
	}
	return b
}

// prompt appends the text of a request's prompt. n tells the requests of a run apart.
func (p prompter) prompt(b []byte, r *workload.Request, n uint64) []byte {
	left := max(1, p.words(r.Prompt-p.overhead))
	start := len(b)
	if r.Block > 0 {
		each := max(1, p.words(r.Block))
		for _, block := range r.Blocks {
			k := min(each, left)
			b = appendWords(b, mix(block)^p.seed, k)
			if left -= k; left == 0 {
				break
			}
		}
	}
	if left > 0 {
		b = appendWords(b, mix(n)^mix(p.seed), left)
	}
	return append(b[:start], b[start+1:]...) // without the first blank: people's prompts begin with a word
}

// contextPart is the part of a context that is filled: a prompt is made of words, whose tokens differ from the mean.
const contextPart = 0.85

// fit gives the sizes of a request that the model can take: a trace of another model's may not fit, and what is refused for that says
// nothing of a server.
func (p prompter) fit(prompt, output int) (int, int) {
	if p.context == 0 {
		return prompt, output
	}
	room := int(contextPart * float64(p.context))
	output = max(min(output, room/2), 1)
	return max(min(prompt, room-output), 1), output
}

func (p prompter) words(tokens int) int { return int(math.Round(float64(tokens) * p.perToken)) }

// body appends the JSON of a request. Nothing in it needs escaping but the model, which came escaped.
func (o *Options) body(b []byte, model string, r *workload.Request, p prompter, n uint64, stream bool) []byte {
	output := r.Output
	if o.OutputMax > 0 {
		output = min(output, o.OutputMax)
	}
	fitting := *r
	fitting.Prompt, output = p.fit(r.Prompt, output)
	b = append(b, `{"model":`...)
	b = append(b, model...)
	if stream {
		b = append(b, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	b = append(b, `,"max_tokens":`...)
	b = strconv.AppendInt(b, int64(output), 10)
	if o.IgnoreEOS {
		b = append(b, `,"ignore_eos":true`...)
	}
	b = append(b, `,"messages":[{"role":"user","content":"`...)
	b = p.prompt(b, &fitting, n)
	return append(b, `"}]}`...)
}
