package openai

import (
	"errors"

	"github.com/weir-ai/weir/llm"
)

// Options say how strictly bodies are read.
type Options struct {
	// IgnoreUnknown lets fields pass that neither OpenAI nor vLLM documents. Documented fields are honoured or refused as ever.
	IgnoreUnknown bool
}

// errUnwritten is the answer of the functions of this file, until each has its own.
var errUnwritten = &llm.Error{Op: "openai", Kind: llm.Internal, Err: errors.New("not written yet")}

// DecodeChat reads the body of POST /v1/chat/completions.
func DecodeChat(body []byte, o Options) (*llm.Request, error) { return nil, errUnwritten }

// DecodeCompletion reads the body of POST /v1/completions.
func DecodeCompletion(body []byte, o Options) (*llm.Request, error) { return nil, errUnwritten }

// Head is what all frames of one answer repeat.
type Head struct {
	ID      string // chatcmpl-... or cmpl-...
	Created int64  // Unix seconds
	Model   llm.ModelID
}

// Stream writes an answer as server-sent events.
type Stream struct{}

// NewStream begins a stream.
func NewStream(req *llm.Request, h Head) *Stream { return &Stream{} }

// Event appends the frames of one event.
func (s *Stream) Event(dst []byte, e *llm.Event) []byte { return dst }

// Error appends the frame of a failure after the stream began.
func (s *Stream) Error(dst []byte, err *llm.Error) []byte { return dst }

// Done appends the last frame.
func (s *Stream) Done(dst []byte) []byte { return dst }

// Answer collects an answer and writes it whole.
type Answer struct{}

// NewAnswer begins an answer.
func NewAnswer(req *llm.Request, h Head) *Answer { return &Answer{} }

// Event collects one event.
func (a *Answer) Event(e *llm.Event) error { return errUnwritten }

// Append appends the answer.
func (a *Answer) Append(dst []byte) []byte { return dst }

// AppendError appends an error's body.
func AppendError(dst []byte, err *llm.Error) []byte { return dst }

// ModelEntry is one entry of GET /v1/models.
type ModelEntry struct {
	ID            llm.ModelID
	Created       int64
	OwnedBy       string
	ContextLength int // vLLM's max_model_len; 0 where it is not known
}

// AppendModels appends the body of GET /v1/models.
func AppendModels(dst []byte, m []ModelEntry) []byte { return dst }

// AppendModel appends the body of GET /v1/models/{id}.
func AppendModel(dst []byte, m ModelEntry) []byte { return dst }

// Tokenize is what POST /tokenize asks.
type Tokenize struct {
	Model      llm.ModelID
	Text       string
	Chat       *llm.Request // nil for a text
	AddSpecial bool
	Strings    bool
}

// DecodeTokenize reads the body of POST /tokenize.
func DecodeTokenize(body []byte, o Options) (Tokenize, error) { return Tokenize{}, errUnwritten }

// AppendTokenize appends the answer of /tokenize; strs is nil where nobody asked for strings.
func AppendTokenize(dst []byte, ids []llm.TokenID, strs []string, maxModelLen int) []byte { return dst }

// Detokenize is what POST /detokenize asks.
type Detokenize struct {
	Model  llm.ModelID
	Tokens []llm.TokenID
}

// DecodeDetokenize reads the body of POST /detokenize.
func DecodeDetokenize(body []byte, o Options) (Detokenize, error) { return Detokenize{}, errUnwritten }

// AppendDetokenize appends the answer of /detokenize.
func AppendDetokenize(dst []byte, text string) []byte { return dst }

// DecodeApplyTemplate reads the body of POST /apply-template.
func DecodeApplyTemplate(body []byte, o Options) (*llm.Request, error) { return nil, errUnwritten }

// AppendApplyTemplate appends the answer of /apply-template.
func AppendApplyTemplate(dst []byte, prompt string) []byte { return dst }
