package openai

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// Answer collects the events of one answer and writes it whole. Events are turned into JSON as they come, so that nothing of an event
// is kept. Its size is bounded by what the request may ask for: choicesMax answers, each as long as the model's context at most.
type Answer struct {
	report  llm.Report
	chat    bool
	head    Head
	choices []answerChoice
	usage   llm.Usage
}

// answerChoice is one choice in pieces of JSON.
type answerChoice struct {
	text, reasoning []byte // the insides of strings
	ids             []byte // token_ids

	content                        []byte // a chat's log-probabilities
	tokens, logprobs, tops, places []byte // a completion's: tokens, token_logprobs, top_logprobs, text_offset
	chars                          int    // of text, in characters; kept where offsets are told

	promptIDs, promptLogprobs []byte
	calls                     []call
	finish                    llm.Finish
}

// call is a tool call; its arguments are the inside of a string.
type call struct {
	id, name  string
	arguments []byte
}

// NewAnswer begins the answer of req. The events' Choice must be below req.Choices().
func NewAnswer(req *llm.Request, h Head) *Answer {
	return &Answer{report: req.Report, chat: req.Task == llm.Chat, head: h, choices: make([]answerChoice, req.Choices())}
}

// Event collects one event. An error, the event's own or for what has no place in an answer, fails the whole answer.
func (a *Answer) Event(e *llm.Event) error {
	switch e.Kind {
	case llm.EventPrompt:
		a.prompt(&a.choices[e.Choice], e)
	case llm.EventDelta, llm.EventReasoning:
		if a.report.EchoOnly {
			return nil
		}
		c := &a.choices[e.Choice]
		if e.Kind == llm.EventReasoning && a.chat {
			c.reasoning = appendEscaped(c.reasoning, e.Text)
		} else {
			c.text = appendEscaped(c.text, e.Text)
		}
		if a.report.TokenIDs && len(e.Tokens) > 0 {
			c.ids = appendIDs(comma(c.ids), e.Tokens)
		}
		a.logprobs(c, e)
	case llm.EventToolCall:
		return a.call(&a.choices[e.Choice], e.Call)
	case llm.EventFinish:
		a.choices[e.Choice].finish = e.Finish
	case llm.EventUsage:
		a.usage = e.Usage
	case llm.EventError:
		if e.Err == nil {
			return &llm.Error{Op: "openai", Kind: llm.Internal, Err: errors.New("an error event without an error")}
		}
		return e.Err
	}
	return nil
}

// comma puts a comma behind what a list has already.
func comma(list []byte) []byte {
	if len(list) == 0 {
		return list
	}
	return append(list, ',')
}

// logprobs collects the log-probabilities of an event's tokens.
func (a *Answer) logprobs(c *answerChoice, e *llm.Event) {
	if a.report.Logprobs < 0 {
		return
	}
	from := c.chars
	c.chars += utf8.RuneCountInString(e.Text)
	switch {
	case len(e.Tokens) == 0:
	case a.chat:
		c.content = appendChatTokens(comma(c.content), e.Tokens, a.report.Logprobs)
	default:
		c.tokens = appendTokenTexts(comma(c.tokens), e.Tokens)
		c.logprobs = appendTokenLogprobs(comma(c.logprobs), e.Tokens)
		c.tops = appendTops(comma(c.tops), e.Tokens, a.report.Logprobs)
		c.places = appendOffsets(comma(c.places), e.Text, e.Tokens, from)
	}
}

// prompt collects what was asked about the prompt.
func (a *Answer) prompt(c *answerChoice, e *llm.Event) {
	if a.report.TokenIDs {
		c.promptIDs = appendIDs(c.promptIDs[:0], e.Tokens)
	}
	if a.report.PromptLogprobs >= 0 {
		c.promptLogprobs = appendPromptLogprobs(c.promptLogprobs[:0], e.Tokens, a.report.PromptLogprobs)
	}
	if a.report.Echo {
		c.text = appendEscaped(c.text, e.Text)
		a.logprobs(c, e)
	}
}

// call collects a part of a tool call. Calls come in order, so that an index is that of a call that has begun, or the next.
func (a *Answer) call(c *answerChoice, d *llm.ToolCallDelta) error {
	switch {
	case !a.chat:
		return errCallInText()
	case d.Index < 0 || d.Index > len(c.calls) || d.Index >= callsMax:
		return &llm.Error{Op: "openai", Kind: llm.Upstream, Err: fmt.Errorf("tool call %d comes after %d calls; at most %d are taken", d.Index, len(c.calls), callsMax)}
	case d.Index == len(c.calls):
		c.calls = append(c.calls, call{})
	}
	k := &c.calls[d.Index]
	k.id, k.name = k.id+d.ID, k.name+d.Name
	k.arguments = appendEscaped(k.arguments, d.Arguments)
	return nil
}

// Append appends the whole answer.
func (a *Answer) Append(dst []byte) []byte {
	object := "text_completion"
	if a.chat {
		object = "chat.completion"
	}
	dst = a.head.append(dst, object)
	for i := range a.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"index":`...)
		dst = appendInt(dst, i)
		if a.chat {
			dst = a.message(dst, &a.choices[i])
		} else {
			dst = a.text(dst, &a.choices[i])
		}
		dst = append(dst, `,"finish_reason":`...)
		dst = appendFinish(dst, a.choices[i].finish, a.report.EchoOnly)
		if a.report.TokenIDs {
			dst = list(dst, `,"token_ids":[`, a.choices[i].ids)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"usage":`...)
	dst = appendUsage(dst, a.usage, &a.report)
	if a.chat {
		dst = a.aboutPrompt(dst)
	}
	return append(dst, '}')
}

func list(dst []byte, name string, items []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, items...)
	return append(dst, ']')
}

// message appends a chat's message and log-probabilities.
func (a *Answer) message(dst []byte, c *answerChoice) []byte {
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	if len(c.text) == 0 && len(c.calls) > 0 {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = append(dst, c.text...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"refusal":null`...)
	if len(c.reasoning) > 0 {
		dst = append(dst, `,"reasoning_content":"`...)
		dst = append(dst, c.reasoning...)
		dst = append(dst, '"')
	}
	if len(c.calls) > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for i := range c.calls {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCall(dst, &c.calls[i])
		}
		dst = append(dst, ']')
	}
	if a.report.Logprobs < 0 {
		return append(dst, `},"logprobs":null`...)
	}
	dst = list(dst, `},"logprobs":{"content":[`, c.content)
	return append(dst, `,"refusal":null}`...)
}

func appendCall(dst []byte, k *call) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, k.id)
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = appendString(dst, k.name)
	dst = append(dst, `,"arguments":"`...)
	dst = append(dst, k.arguments...)
	return append(dst, `"}}`...)
}

// text appends a completion's text, its log-probabilities and what was asked about its prompt.
func (a *Answer) text(dst []byte, c *answerChoice) []byte {
	dst = append(dst, `,"text":"`...)
	dst = append(dst, c.text...)
	dst = append(dst, '"')
	if a.report.Logprobs < 0 {
		dst = append(dst, `,"logprobs":null`...)
	} else {
		dst = list(dst, `,"logprobs":{"tokens":[`, c.tokens)
		dst = list(dst, `,"token_logprobs":[`, c.logprobs)
		dst = list(dst, `,"top_logprobs":[`, c.tops)
		dst = list(dst, `,"text_offset":[`, c.places)
		dst = append(dst, '}')
	}
	return a.about(dst, c)
}

// aboutPrompt appends what was asked about a chat's prompt, which all choices share.
func (a *Answer) aboutPrompt(dst []byte) []byte {
	i := slices.IndexFunc(a.choices, func(c answerChoice) bool { return c.promptIDs != nil || c.promptLogprobs != nil })
	return a.about(dst, &a.choices[max(i, 0)])
}

func (a *Answer) about(dst []byte, c *answerChoice) []byte {
	if a.report.PromptLogprobs >= 0 && c.promptLogprobs != nil {
		dst = append(dst, `,"prompt_logprobs":`...)
		dst = append(dst, c.promptLogprobs...)
	}
	if a.report.TokenIDs {
		dst = list(dst, `,"prompt_token_ids":[`, c.promptIDs)
	}
	return dst
}
