package openai

import (
	"errors"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// Head is what every frame of one answer repeats.
type Head struct {
	ID      string // chatcmpl-... or cmpl-...
	Created int64  // Unix seconds
	Model   llm.ModelID
}

// append writes the head as the beginning of an object; it ends where the choices begin. Weir has no fingerprint of weights and
// kernels to give, and null says so.
func (h Head) append(dst []byte, object string) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, h.ID)
	dst = append(dst, `,"object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = appendInt(dst, h.Created)
	dst = append(dst, `,"model":`...)
	dst = appendString(dst, string(h.Model))
	return append(dst, `,"system_fingerprint":null,"choices":[`...)
}

// Stream writes an answer as server-sent events, each a whole frame "data: {...}\n\n". It keeps the beginning that all frames share
// and one number a choice, and allocates nothing for an event beyond what dst needs to grow.
type Stream struct {
	report llm.Report
	chat   bool
	head   []byte
	begun  bool  // the frames with the roles are out
	chars  []int // of each choice's text that is out, in characters; kept where offsets are told
}

// NewStream begins the stream of req's answer. The events' Choice must be below req.Choices().
func NewStream(req *llm.Request, h Head) *Stream {
	s := &Stream{report: req.Report, chat: req.Task == llm.Chat, chars: make([]int, req.Choices())}
	object := "text_completion"
	if s.chat {
		object = "chat.completion.chunk"
	}
	s.head = h.append([]byte("data: "), object)
	return s
}

// Join has the stream go on behind frames that somebody else wrote: the roles are out.
func (s *Stream) Join() { s.begun = true }

// Event appends the frames of one event, none where it holds nothing that was asked for.
func (s *Stream) Event(dst []byte, e *llm.Event) []byte {
	switch e.Kind {
	case llm.EventPrompt:
		return s.prompt(dst, e)
	case llm.EventDelta, llm.EventReasoning, llm.EventToolCall:
		if s.report.EchoOnly {
			return dst
		}
		if s.chat {
			return s.chatDelta(s.begin(dst, e), e)
		}
		return s.textDelta(dst, e)
	case llm.EventFinish:
		return s.finish(s.begin(dst, e), e)
	case llm.EventUsage:
		if !s.report.Usage {
			return dst
		}
		dst = append(dst, s.head...)
		dst = append(dst, `],"usage":`...)
		return append(appendUsage(dst, e.Usage, &s.report), "}\n\n"...)
	case llm.EventError:
		if e.Err == nil {
			return s.Error(dst, &llm.Error{Kind: llm.Internal})
		}
		return s.Error(dst, e.Err)
	}
	return dst
}

// Error appends the frame of a failure after the stream began. The SDKs raise it.
func (s *Stream) Error(dst []byte, err *llm.Error) []byte {
	dst = append(dst, "data: "...)
	dst = AppendError(dst, err)
	return append(dst, "\n\n"...)
}

// Done appends the last frame.
func (s *Stream) Done(dst []byte) []byte { return append(dst, "data: [DONE]\n\n"...) }

// open appends the head and the beginning of one choice.
func (s *Stream) open(dst []byte, choice int) []byte {
	dst = append(dst, s.head...)
	dst = append(dst, `{"index":`...)
	return appendInt(dst, choice)
}

// close ends the list of choices and the frame. Where usage was asked for, every frame has it: null until the last, or the
// choice's own so far.
func (s *Stream) close(dst []byte, u llm.Usage) []byte {
	dst = append(dst, ']')
	switch {
	case s.report.UsageContinuous:
		dst = append(dst, `,"usage":`...)
		dst = appendUsage(dst, u, &s.report)
	case s.report.Usage:
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// begin appends the frames with the roles before anything else of a chat: of all choices, in their order, whichever has the first
// event. OpenAI does so, and its Python SDK cannot put together a stream that begins with another choice than 0. The ids of the
// prompt, which all choices share, are in them where they were asked for; the first event tells them then.
func (s *Stream) begin(dst []byte, e *llm.Event) []byte {
	if s.begun || !s.chat {
		return dst
	}
	s.begun = true
	for i := range s.chars {
		dst = s.open(dst, i)
		dst = append(dst, `,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`...)
		dst = s.close(dst, llm.Usage{PromptTokens: e.Usage.PromptTokens, CachedTokens: e.Usage.CachedTokens})
		if e.Kind == llm.EventPrompt && s.report.TokenIDs {
			dst = dst[:len(dst)-len("}\n\n")]
			dst = append(dst, `,"prompt_token_ids":[`...)
			dst = append(appendIDs(dst, e.Tokens), "]}\n\n"...)
		}
	}
	return dst
}

// prompt appends what was asked about the prompt.
func (s *Stream) prompt(dst []byte, e *llm.Event) []byte {
	if s.chat {
		return s.begin(dst, e)
	}
	if !s.report.Echo && !s.report.TokenIDs {
		return dst
	}
	dst = s.open(dst, e.Choice)
	dst = append(dst, `,"text":`...)
	if s.report.Echo {
		dst = appendString(dst, e.Text)
		dst = s.textLogprobs(dst, e)
	} else {
		dst = append(dst, `"","logprobs":null`...)
	}
	dst = append(dst, `,"finish_reason":null`...)
	if s.report.TokenIDs {
		dst = append(dst, `,"prompt_token_ids":[`...)
		dst = append(appendIDs(dst, e.Tokens), ']')
	}
	return s.close(append(dst, '}'), e.Usage)
}

// silent reports whether an event has nothing to tell: tokens of which nobody asked, without text.
func (s *Stream) silent(e *llm.Event) bool {
	return e.Text == "" && e.Kind != llm.EventToolCall && (len(e.Tokens) == 0 || s.report.Logprobs < 0 && !s.report.TokenIDs)
}

func (s *Stream) chatDelta(dst []byte, e *llm.Event) []byte {
	if s.silent(e) {
		return dst
	}
	dst = s.open(dst, e.Choice)
	switch e.Kind {
	case llm.EventReasoning:
		dst = append(dst, `,"delta":{"reasoning_content":`...)
		dst = appendString(dst, e.Text)
	case llm.EventToolCall:
		dst = append(dst, `,"delta":{"tool_calls":[`...)
		dst = append(appendCallDelta(dst, e.Call), ']')
	default:
		dst = append(dst, `,"delta":{"content":`...)
		dst = appendString(dst, e.Text)
	}
	if s.report.Logprobs >= 0 && len(e.Tokens) > 0 {
		dst = append(dst, `},"logprobs":{"content":[`...)
		dst = appendChatTokens(dst, e.Tokens, s.report.Logprobs)
		dst = append(dst, `],"refusal":null},"finish_reason":null`...)
	} else {
		dst = append(dst, `},"logprobs":null,"finish_reason":null`...)
	}
	return s.close(append(s.tokenIDs(dst, e), '}'), e.Usage)
}

// appendCallDelta appends a part of a tool call; the part that names it has its id and type, too.
func appendCallDelta(dst []byte, c *llm.ToolCallDelta) []byte {
	dst = append(dst, `{"index":`...)
	dst = appendInt(dst, c.Index)
	if c.ID != "" || c.Name != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, c.ID)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = appendString(dst, c.Name)
		dst = append(dst, `,"arguments":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	return append(appendString(dst, c.Arguments), "}}"...)
}

func (s *Stream) textDelta(dst []byte, e *llm.Event) []byte {
	switch {
	case e.Kind == llm.EventToolCall:
		return s.Error(dst, errCallInText())
	case s.silent(e):
		return dst
	}
	dst = s.open(dst, e.Choice)
	dst = append(dst, `,"text":`...)
	dst = appendString(dst, e.Text)
	dst = s.textLogprobs(dst, e)
	dst = append(dst, `,"finish_reason":null`...)
	return s.close(append(s.tokenIDs(dst, e), '}'), e.Usage)
}

// errCallInText is a fault of the runner: a completion has no tools, and no place in its answer for a call.
func errCallInText() *llm.Error {
	return &llm.Error{Op: "openai", Kind: llm.Internal, Err: errors.New("the runner called a tool in a completion")}
}

// textLogprobs appends the logprobs member of a completion's choice.
func (s *Stream) textLogprobs(dst []byte, e *llm.Event) []byte {
	if s.report.Logprobs < 0 {
		return append(dst, `,"logprobs":null`...)
	}
	from := s.chars[e.Choice]
	s.chars[e.Choice] += utf8.RuneCountInString(e.Text)
	if len(e.Tokens) == 0 {
		return append(dst, `,"logprobs":null`...)
	}
	dst = append(dst, `,"logprobs":{"tokens":[`...)
	dst = appendTokenTexts(dst, e.Tokens)
	dst = append(dst, `],"token_logprobs":[`...)
	dst = appendTokenLogprobs(dst, e.Tokens)
	dst = append(dst, `],"top_logprobs":[`...)
	dst = appendTops(dst, e.Tokens, s.report.Logprobs)
	dst = append(dst, `],"text_offset":[`...)
	dst = appendOffsets(dst, e.Text, e.Tokens, from)
	return append(dst, "]}"...)
}

func (s *Stream) tokenIDs(dst []byte, e *llm.Event) []byte {
	if !s.report.TokenIDs {
		return dst
	}
	dst = append(dst, `,"token_ids":[`...)
	return append(appendIDs(dst, e.Tokens), ']')
}

func (s *Stream) finish(dst []byte, e *llm.Event) []byte {
	dst = s.open(dst, e.Choice)
	if s.chat {
		dst = append(dst, `,"delta":{},"logprobs":null,"finish_reason":`...)
	} else {
		dst = append(dst, `,"text":"","logprobs":null,"finish_reason":`...)
	}
	dst = appendFinish(dst, e.Finish, s.report.EchoOnly)
	return s.close(append(dst, '}'), e.Usage)
}

// appendFinish appends the reason and vLLM's stop_reason: the stop string or the stop token that was met, null for any other end.
// Where only the prompt was asked for, the answer's end is its length of nothing.
func appendFinish(dst []byte, f llm.Finish, echoOnly bool) []byte {
	if echoOnly {
		f = llm.Finish{Reason: llm.FinishLength}
	}
	dst = appendString(dst, string(f.Reason))
	dst = append(dst, `,"stop_reason":`...)
	if f.StopIsToken {
		return appendInt(dst, f.Token)
	}
	return appendOptional(dst, f.Stop)
}
