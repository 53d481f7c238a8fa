package jinja

import (
	"encoding/json"
	"sort"
	"strings"
	"time"
)

// Chat is what a chat template is rendered with: the arguments of transformers' apply_chat_template.
type Chat struct {
	Messages  []json.RawMessage // each a JSON object, content parts and all, as the client sent it
	Tools     json.RawMessage   // a JSON list of objects; none where empty
	Documents json.RawMessage   // a JSON list of objects; none where empty

	// Further variables. The same name in a later one wins: Special (such as bos_token), Variables, Kwargs (a JSON object).
	Special   map[string]string
	Variables map[string]string
	Kwargs    json.RawMessage

	Now                 time.Time // what strftime_now tells
	AddGenerationPrompt bool
	ContinueFinal       bool // end the prompt where the last message's content ends
}

// Chat renders the template over c. The error is a *RaiseError where the template refuses the messages by its own words and an
// *Error otherwise.
func (t *Template) Chat(c Chat) (text string, err error) {
	defer catch(t.name, nil, &err)
	vars := NewDict()
	addStrings(vars, c.Special)
	addStrings(vars, c.Variables)
	if k := optional("chat_template_kwargs", c.Kwargs); k != nil {
		kwargs, ok := k.(*Dict)
		if !ok {
			fail(typeError, "chat_template_kwargs is a %s; send an object", typeName(k))
		}
		for _, e := range kwargs.entries {
			if name, _ := e.key.(string); reserved(name) {
				fail(typeError, "chat_template_kwargs has %q, which the request's own field sets; leave it out", name)
			}
		}
		vars.merge(kwargs)
	}
	messages := readMessages(c.Messages)
	last := t.markFinal(c, messages)
	vars.Set("messages", messages)
	vars.Set("tools", objects("tools", optional("tools", c.Tools)))
	vars.Set("documents", objects("documents", optional("documents", c.Documents)))
	vars.Set("add_generation_prompt", c.AddGenerationPrompt)
	text, err = t.render(vars, c.Now)
	if err != nil || !c.ContinueFinal {
		return text, err
	}
	return cutFinal(text, last), nil
}

func reserved(name string) bool {
	return name == "messages" || name == "tools" || name == "documents" || name == "add_generation_prompt"
}

func addStrings(vars *Dict, from map[string]string) {
	names := make([]string, 0, len(from))
	for name := range from {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		vars.Set(name, strings.ToValidUTF8(from[name], "\ufffd"))
	}
}

// optional reads raw, which may be absent or null.
func optional(field string, raw json.RawMessage) Value {
	if len(raw) == 0 {
		return nil
	}
	v, err := FromJSON(raw)
	if err != nil {
		fail(valueError, "%s is %v", field, err)
	}
	return v
}

// objects checks that v is None or a list of dicts.
func objects(field string, v Value) Value {
	if v == nil {
		return nil
	}
	l, ok := v.(*List)
	if !ok {
		fail(typeError, "%s is a %s; send a list of objects", field, typeName(v))
	}
	for i, item := range l.Items {
		if _, ok := item.(*Dict); !ok {
			fail(typeError, "%s[%d] is a %s; send an object", field, i, typeName(item))
		}
	}
	return v
}

// reasoningNames are the fields under which clients send a message's reasoning, in transformers' order.
func reasoningNames() []string { return []string{"reasoning_content", "thinking", "reasoning"} }

// readMessages reads the messages and gives each message's reasoning the names that templates read: the first of the three
// fields that is not null becomes reasoning_content, and thinking where that is missing.
func readMessages(raw []json.RawMessage) *List {
	out := &List{}
	for i, text := range raw {
		v, err := FromJSON(text)
		if err != nil {
			fail(valueError, "messages[%d] is %v", i, err)
		}
		m, ok := v.(*Dict)
		if !ok {
			fail(typeError, "messages[%d] is a %s; send an object", i, typeName(v))
		}
		for _, name := range reasoningNames() {
			if reasoning, ok := m.Get(name); ok && reasoning != nil {
				aliased := NewDict()
				aliased.Set("thinking", reasoning)
				aliased.merge(m)
				aliased.Set("reasoning_content", reasoning)
				m = aliased
				break
			}
		}
		out.Items = append(out.Items, m)
	}
	return out
}

// finalTag marks the end of the last message's content through the rendering. Its last blank tells whether the template trims.
const finalTag = "CONTINUE_FINAL_MESSAGE_TAG "

// markFinal appends the tag to the last message's content where c continues it, and returns that content.
func (t *Template) markFinal(c Chat, messages *List) string {
	if !c.ContinueFinal {
		return ""
	}
	switch {
	case c.AddGenerationPrompt:
		fail(valueError, "continue_final_message and add_generation_prompt are both set; a prompt either continues the last message or begins a new one")
	case len(messages.Items) == 0:
		fail(valueError, "continue_final_message is set but there are no messages")
	case !strings.Contains(t.source, "content"):
		fail(valueError, "continue_final_message is set but the chat template reads no content")
	}
	m := messages.Items[len(messages.Items)-1].(*Dict)
	switch content, _ := m.Get("content"); content := content.(type) {
	case nil:
		fail(valueError, "continue_final_message is set but the last message has no content to continue")
	case string:
		m.Set("content", content+finalTag)
		return content
	case *List:
		for i := len(content.Items) - 1; i >= 0; i-- {
			part, ok := content.Items[i].(*Dict)
			if !ok {
				continue
			}
			if text, ok := part.Get("text"); ok {
				s, ok := text.(string)
				if !ok {
					fail(typeError, "the last message's text part is a %s; send a string", typeName(text))
				}
				part.Set("text", s+finalTag)
				return s
			}
		}
		fail(valueError, "continue_final_message is set but the last message has no text to continue")
	default:
		fail(typeError, "the last message's content is a %s; send a string or a list of parts", typeName(content))
	}
	return ""
}

// cutFinal ends text where the last message's content ends. Where the template trimmed the content, what it left is trimmed too.
func cutFinal(text, last string) string {
	tag := strings.TrimRight(finalTag, " ")
	if !strings.Contains(text, trimSpace(last)) || !strings.Contains(text, tag) {
		fail(valueError, "continue_final_message is set but the chat template does not write the last message's content as it is; without the flag it can be rendered")
	}
	at := strings.LastIndex(text, tag)
	if strings.HasPrefix(text[at:], finalTag) {
		return text[:at]
	}
	return strings.TrimRightFunc(text[:at], isSpace)
}

// catch turns a failure that travels as a panic into an error. line, where not nil, tells how far the rendering came.
func catch(name string, line *int, err *error) {
	switch failure := recover().(type) {
	case nil:
	case *Error:
		if failure.Template == "" {
			failure.Template = name
		}
		if failure.Line == 0 && line != nil {
			failure.Line = *line
		}
		*err = failure
	case *RaiseError:
		*err = failure
	default:
		panic(failure)
	}
}
