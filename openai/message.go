package openai

import (
	"encoding/json"
	"slices"

	"github.com/weir-ai/weir/llm"
)

const (
	// messagesMax: OpenAI takes 2,048; agents' histories reach some hundreds, and one of 4,096 turns fits no context of today.
	messagesMax = 4096
	// partsMax: content lists have one part to some tens.
	partsMax = 1024
	// callsMax: as many calls as OpenAI takes tools.
	callsMax = 128
	// kwargsMax: templates know below 20 variables.
	kwargsMax = 64
)

// messageKeys are the keys of messages that OpenAI, vLLM or chat templates know. Others are refused, because most templates would
// pass over them in silence.
var messageKeys = []string{
	"role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content", "thinking",
	"refusal", "annotations", "audio", "function_call",
}

var roles = []llm.Role{llm.RoleSystem, llm.RoleDeveloper, llm.RoleUser, llm.RoleAssistant, llm.RoleTool}

func readMessages(d *decoder, v value) error {
	const path = "messages"
	switch {
	case !v.list():
		return wrongType(path, "a list of messages", v)
	case v.empty():
		return llm.InvalidField(path, "messages is empty; send one message at least.")
	}
	d.asked.messages = true
	for i, item := range v.items() {
		if i == messagesMax {
			return llm.InvalidField(path, "messages has more than %d messages; drop or sum up the oldest.", messagesMax)
		}
		m, err := d.message(at(path, i), item)
		if err != nil {
			return err
		}
		d.req.Messages = append(d.req.Messages, m)
	}
	return nil
}

// message reads one message in one pass over its keys.
func (d *decoder) message(path string, v value) (llm.Message, error) {
	m := llm.Message{Raw: json.RawMessage(v)}
	if !v.object() {
		return m, wrongType(path, "an object with role and content", v)
	}
	if err := d.onlyKeys(path, v, messageKeys...); err != nil {
		return m, err
	}
	var content value
	for key, member := range v.members() {
		if key == "content" {
			content = member
		}
		if member.null() {
			continue
		}
		if err := d.messageKey(&m, path+"."+key, key, member); err != nil {
			return m, err
		}
	}
	switch {
	case m.Role == "":
		return m, llm.InvalidField(path+".role", "%s.role is missing; it is one of %q.", path, roles)
	case len(m.ToolCalls) > 0 && m.Role != llm.RoleAssistant:
		return m, llm.InvalidField(path+".tool_calls", "%s.tool_calls belongs to messages of the role assistant, but the role is %q.", path, m.Role)
	case m.ToolCallID != "" && m.Role != llm.RoleTool:
		return m, llm.InvalidField(path+".tool_call_id", "%s.tool_call_id belongs to messages of the role tool, but the role is %q.", path, m.Role)
	case (content == nil || content.null()) && len(m.ToolCalls) == 0:
		return m, llm.InvalidField(path+".content", "%s.content is missing; send a text, \"\" for none.", path)
	}
	return m, nil
}

// messageKey reads one member of a message.
func (d *decoder) messageKey(m *llm.Message, path, key string, v value) (err error) {
	switch key {
	case "role":
		var s string
		if s, err = v.asText(path, textMax); err != nil {
			return err
		}
		if m.Role = llm.Role(s); !slices.Contains(roles, m.Role) {
			return llm.InvalidField(path, "%s is %.60q; it is one of %q.", path, s, roles)
		}
	case "content":
		m.Parts, err = d.content(path, v)
	case "name":
		m.Name, err = v.asText(path, textMax)
	case "tool_call_id":
		m.ToolCallID, err = v.asText(path, textMax)
	case "tool_calls":
		m.ToolCalls, err = d.toolCalls(path, v)
	case "reasoning", "reasoning_content", "thinking":
		var s string
		if s, err = v.asText(path, len(v)); err == nil && m.Reasoning != "" && m.Reasoning != s {
			return llm.InvalidField(path, "%s and another key for the message's reasoning differ; send one of them.", path)
		}
		m.Reasoning = s
	case "refusal":
		if !isNoText(v) {
			return llm.InvalidField(path, "%s is not supported; send the text as content.", path)
		}
	case "annotations":
		if !isEmpty(v) {
			return llm.InvalidField(path, "%s is not supported; leave it out.", path)
		}
	case "audio", "function_call":
		return llm.InvalidField(path, "%s is not supported; leave it out.", path)
	}
	return err
}

// content reads a message's content: a text, or a list of parts of which every one is text.
func (d *decoder) content(path string, v value) ([]llm.Part, error) {
	switch {
	case v.string():
		return []llm.Part{{Kind: llm.PartText, Text: v.text()}}, nil
	case !v.list():
		return nil, wrongType(path, "a string or a list of parts", v)
	case v.empty():
		return nil, llm.InvalidField(path, "%s is an empty list; send one part at least, or \"\".", path)
	}
	var parts []llm.Part
	for i, item := range v.items() {
		if i == partsMax {
			return nil, llm.InvalidField(path, "%s has more than %d parts; join some.", path, partsMax)
		}
		p, err := d.part(at(path, i), item)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func (d *decoder) part(path string, v value) (llm.Part, error) {
	if !v.object() {
		return llm.Part{}, wrongType(path, `an object such as {"type": "text", "text": "..."}`, v)
	}
	kind := v.get("type")
	switch {
	case kind == nil || !kind.string():
		return llm.Part{}, llm.InvalidField(path+".type", "%s.type is missing or no string; it is \"text\".", path)
	case kind.text() != string(llm.PartText):
		return llm.Part{}, llm.InvalidField(path, "%s is of type %.60q, which is not supported; send parts of type \"text\" only.", path, kind.text())
	}
	if err := d.onlyKeys(path, v, "type", "text"); err != nil {
		return llm.Part{}, err
	}
	text := v.get("text")
	if text == nil {
		return llm.Part{}, llm.InvalidField(path+".text", "%s.text is missing.", path)
	}
	s, err := text.asText(path+".text", len(text))
	return llm.Part{Kind: llm.PartText, Text: s}, err
}

// toolCalls reads the calls that an assistant made earlier; the template shows them to the model. The arguments are a string of
// JSON, as OpenAI has them, or an object, as many templates want them.
func (d *decoder) toolCalls(path string, v value) ([]llm.ToolCall, error) {
	if !v.list() {
		return nil, wrongType(path, "a list of calls", v)
	}
	var calls []llm.ToolCall
	for i, item := range v.items() {
		if i == callsMax {
			return nil, llm.InvalidField(path, "%s has more than %d calls; send fewer.", path, callsMax)
		}
		c, err := d.toolCall(at(path, i), item)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	return calls, nil
}

func (d *decoder) toolCall(path string, v value) (c llm.ToolCall, err error) {
	if !v.object() {
		return c, wrongType(path, "an object with id, type and function", v)
	}
	if err := d.onlyKeys(path, v, "id", "type", "function", "index"); err != nil {
		return c, err
	}
	if kind := v.get("type"); kind != nil && !isOneOf("function")(kind) {
		return c, llm.InvalidField(path+".type", "%s.type is %s; only \"function\" is supported.", path, kind.describe())
	}
	if id := v.get("id"); id != nil && !id.null() {
		if c.ID, err = id.asText(path+".id", textMax); err != nil {
			return c, err
		}
	}
	path += ".function"
	f := v.get("function")
	if f == nil || !f.object() {
		return c, llm.InvalidField(path, "%s must be an object with name and arguments.", path)
	}
	if err := d.onlyKeys(path, f, "name", "arguments"); err != nil {
		return c, err
	}
	name, arguments := f.get("name"), f.get("arguments")
	if name == nil || arguments == nil {
		return c, llm.InvalidField(path, "%s must have name and arguments.", path)
	}
	if c.Name, err = name.asText(path+".name", textMax); err != nil {
		return c, err
	}
	switch {
	case arguments.string():
		c.Arguments = arguments.text()
	case arguments.object():
		c.Arguments = string(arguments)
	default:
		err = wrongType(path+".arguments", "a string of JSON or an object", arguments)
	}
	return c, err
}
