package openai

import "github.com/weir-ai/weir/llm"

// ModelEntry is one entry of GET /v1/models.
type ModelEntry struct {
	ID            llm.ModelID
	Created       int64 // Unix seconds
	OwnedBy       string
	ContextLength int // vLLM's max_model_len; 0 where it is not known
}

// AppendModels appends the body of GET /v1/models.
func AppendModels(dst []byte, m []ModelEntry) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, m[i])
	}
	return append(dst, "]}"...)
}

// AppendModel appends the body of GET /v1/models/{id}.
func AppendModel(dst []byte, m ModelEntry) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, string(m.ID))
	dst = append(dst, `,"object":"model","created":`...)
	dst = appendInt(dst, m.Created)
	dst = append(dst, `,"owned_by":`...)
	dst = appendString(dst, m.OwnedBy)
	if m.ContextLength > 0 {
		dst = append(dst, `,"max_model_len":`...)
		dst = appendInt(dst, m.ContextLength)
	}
	return append(dst, '}')
}
