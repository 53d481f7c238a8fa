package llm

import (
	"encoding/json"
	"sync"
	"time"
)

// Distinct types for distinct strings and counts, so that a tenant is never passed where a model is meant.
type (
	// ModelID names a model as clients ask for it.
	ModelID string
	// TenantID names who a request is for; it also salts the prefix cache, so that tenants cannot probe each other.
	TenantID string
	// EndpointID names one endpoint of the fleet as headers, logs and metrics show it: a name, never an address.
	EndpointID string
	// TokenID is an index into a model's vocabulary.
	TokenID int32
)

// Task says which of a model's abilities a request asks for.
type Task int

const (
	// Chat answers Messages through the model's chat template.
	Chat Task = iota
	// Completion continues each of Prompts as it stands.
	Completion
)

// String is the task's name in logs and metrics.
func (t Task) String() string {
	if t == Completion {
		return "completion"
	}
	return "chat"
}

// Request is one thing asked of one model. A door makes it; after that it is read only, except by serve, which resolves Model.
type Request struct {
	ID     string   // the request id that the client sees, for logs
	Trace  string   // the W3C traceparent that came with it, for hands that reach further; empty where none did
	Model  ModelID  // as asked; an alias until it is resolved
	Task   Task     //
	Tenant TenantID // who asks; empty where keys are not used
	KeyID  string   // the public part of the key that was used; never the key

	Class    Class     // how soon it should start, against the others
	Weight   float64   // its tenant's share against other tenants' of its class; 0 is 1
	StartBy  time.Time // when it must have been sent to an engine; zero is what the class's objective says
	Variants bool      // its client takes an answer of a lesser variant rather than none
	Queue    bool      // its client wants to be told where it waits

	Messages   []Message    // for Chat
	Prompts    []Prompt     // for Completion; at least one
	Tools      []Tool       // what the model may call
	ToolChoice ToolChoice   // which of them it must call
	Format     OutputFormat // what the answer must look like
	Template   Template     // how Messages become a prompt
	Sampling   Sampling     //
	Limits     Limits       // where the answer ends
	Report     Report       // what is told beside the text

	N        int               // answers per prompt; 1 or more
	Stream   bool              // the client reads the answer as it grows
	User     string            // the client's own name for its user; opaque
	Metadata map[string]string // the client's own notes; opaque

	Arrived time.Time // when the request's head was read
	Body    []byte    // the body it came in with, for a hand that speaks the same dialect; nil where there is none
	Dialect Dialect   // the wire format of Body and of Event.Frame

	Fields []Field       // where the members of Body stand, where the door has scanned it
	Shape  Shape         // what routing needs to know of the prompt
	Lazy   *Lazy         // decodes Body in full where the door has only scanned it; nil where every field is set
	Going  *Continuation // what of the answer is out already; nil for one that begins
	Trail  bool          // tell the tokens of prompt and answer where they are known: a Continuation may need them
}

// Field is one top-level member of a JSON body: Body[From:To], from the quote of its key to the end of its value, which begins at Value.
type Field struct{ From, Value, To int }

// Shape is what routing knows of a request without its words.
type Shape struct {
	Prompt  int      // tokens of the prompt: an estimate, unless somebody counted
	Prefix  []uint64 // chained hashes of the prompt's whole blocks, from its beginning; nil where they are not known
	Block   int      // tokens of one block of Prefix, an estimate like Prompt
	Session string   // what keeps a client's turns together; empty where it named none
	// Whole says that a stream of the answer cannot be taken up by another endpoint in its middle: it has several choices, tools that
	// must be called, or a form that a second grammar would begin anew.
	Whole bool
}

// Continuation is the part of an answer that its client has already: a runner that can goes on behind it.
type Continuation struct {
	Text      string    // of the answer
	Reasoning string    // that came before it
	Tokens    []TokenID // the tokens of Text, where they are known; nil where they are not
	Count     int       // how many tokens Text is, a guess where they are not known
	Prompt    []TokenID // the tokens of the prompt, where they are known
}

// Lazy decodes a request's body in full, once, when the first who needs it asks.
type Lazy struct {
	once   sync.Once
	decode func() (*Request, error)
	whole  *Request
	err    error
}

// NewLazy makes one of the function that decodes.
func NewLazy(decode func() (*Request, error)) *Lazy { return &Lazy{decode: decode} }

// Whole is r with every field of its body decoded: r itself where the door has done so. The error is what a strict door would have
// refused the body with.
func (r *Request) Whole() (*Request, error) {
	if r.Lazy == nil {
		return r, nil
	}
	l := r.Lazy
	l.once.Do(func() { l.whole, l.err = l.decode() })
	if l.err != nil {
		return nil, l.err
	}
	whole := *l.whole
	whole.ID, whole.Trace, whole.Model, whole.Tenant, whole.KeyID, whole.Arrived = r.ID, r.Trace, r.Model, r.Tenant, r.KeyID, r.Arrived
	whole.Class, whole.Weight, whole.StartBy, whole.Variants, whole.Queue = r.Class, r.Weight, r.StartBy, r.Variants, r.Queue
	whole.Body, whole.Dialect, whole.Fields, whole.Shape, whole.Going, whole.Trail = r.Body, r.Dialect, r.Fields, r.Shape, r.Going, r.Trail
	return &whole, nil
}

// Dialect names a wire format.
type Dialect string

// DialectOpenAI is the wire format of OpenAI's chat completions and completions.
const DialectOpenAI Dialect = "openai"

// Role says who speaks in a Message.
type Role string

// The roles that OpenAI's API knows. A chat template may refuse some of them.
const (
	RoleSystem    Role = "system"
	RoleDeveloper Role = "developer"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one turn of a conversation.
type Message struct {
	Role       Role
	Parts      []Part     // the content; a plain string is one text part
	Name       string     // the participant's name, where given
	Reasoning  string     // an assistant's earlier reasoning
	ToolCalls  []ToolCall // what the assistant called
	ToolCallID string     // which call a tool message answers

	// Raw is the message as the client sent it, in JSON. Chat templates read it, so that a content list reaches them
	// unflattened, with its keys in the client's order. Nil for a message that Weir made itself.
	Raw json.RawMessage
}

// Text joins the message's text parts.
func (m Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var s string
	for _, p := range m.Parts {
		s += p.Text
	}
	return s
}

// TextMessage makes the message that says text.
func TextMessage(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Kind: PartText, Text: text}}}
}

// PartKind says what a Part carries.
type PartKind string

// The kinds of content that OpenAI's API knows.
const (
	PartText  PartKind = "text"
	PartImage PartKind = "image_url"
	PartAudio PartKind = "input_audio"
	PartFile  PartKind = "file"
)

// Part is one piece of a message's content.
type Part struct {
	Kind PartKind
	Text string          // for PartText
	Raw  json.RawMessage // the part as it was sent, for every other kind
}

// Prompt is the start of a completion: text, or token ids where Tokens is not nil.
type Prompt struct {
	Text   string
	Tokens []TokenID
}

// Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // its JSON schema
	Raw         json.RawMessage // the tool as it was sent; chat templates read it
}

// ToolCall is a call that a model made.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text, as the model wrote it
}

// ToolChoice says whether tools may, must or must not be called.
type ToolChoice struct {
	Mode string // "none", "auto", "required" or "function"; empty where nothing was said
	Name string // the function, for mode "function"
}

// OutputFormat is what the answer must look like.
type OutputFormat struct {
	Kind   string          // "" and "text" are free text; "json_object", "json_schema"
	Schema json.RawMessage // for json_schema
}

// Free reports whether any text will do.
func (f OutputFormat) Free() bool { return f.Kind == "" || f.Kind == "text" }

// Template says how messages become a prompt.
type Template struct {
	Source              string          // a template in place of the model's own; empty for the model's own
	Kwargs              json.RawMessage // a JSON object of further variables; nil for none
	NoGenerationPrompt  bool            // leave out the opening of the assistant's turn
	ContinueFinal       bool            // the last message is the beginning of the answer
	AddSpecial          bool            // let the tokenizer add its start token to a rendered prompt, too
	ReturnTokenStrings  bool            // for /tokenize: the strings of the tokens, too
	ReasoningEffortHint string          // "low", "medium", "high"; a variable of templates that know it
}

// Sampling says how a token is chosen from the model's distribution. The zero value is greedy; NewSampling is OpenAI's default.
type Sampling struct {
	Temperature float64             // 0 is greedy
	TopP        float64             // (0, 1]; 1 takes all
	TopK        int                 // 0 takes all
	MinP        float64             // [0, 1); 0 takes all
	Presence    float64             // [-2, 2]; 0 is none
	Frequency   float64             // [-2, 2]; 0 is none
	Repetition  float64             // (0, 2]; 1 is none
	Bias        map[TokenID]float64 // added to logits; [-100, 100]
	Seed        *int64              // nil: a fresh one for each request
}

// TopPLeast stands for a top_p of 0, which OpenAI takes: the one likeliest token and no other.
const TopPLeast = 1e-6

// NewSampling is what OpenAI's API does when nothing is said: temperature 1, nothing cut off, nothing penalised.
func NewSampling() Sampling { return Sampling{Temperature: 1, TopP: 1, Repetition: 1} }

// Limits say where an answer ends.
type Limits struct {
	MaxTokens  int       // 0: the rest of the context
	MinTokens  int       // no end before that many tokens
	Stop       []string  // the answer ends before any of these
	StopTokens []TokenID // or after any of these
	IgnoreEOS  bool      // the model's own end tokens do not end it
}

// Report says what is told beside the text.
type Report struct {
	Usage           bool // usage in the stream's last event
	UsageContinuous bool // usage so far with every event of the stream
	Logprobs        int  // -1 none; 0 of the chosen tokens; k of the k likeliest, too
	PromptLogprobs  int  // the same for the tokens of the prompt
	Echo            bool // the prompt precedes the answer
	EchoOnly        bool // with Echo: of the answer nothing is told, nor in a client's usage; a runner generates the one token that MaxTokens then asks for
	TokenIDs        bool // the ids of prompt and answer, too
}

// NewReport is a report of nothing but the text.
func NewReport() Report { return Report{Logprobs: -1, PromptLogprobs: -1} }

// Choices is how many answers the request asks for in all: N for each prompt.
func (r *Request) Choices() int { return max(1, r.N) * max(1, len(r.Prompts)) }
