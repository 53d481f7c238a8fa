package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
)

func (s *Server) listModels(_ context.Context, x *exchange) error {
	var entries []openai.ModelEntry
	for _, m := range s.models.List() {
		if x.may(m.ID) != nil {
			continue
		}
		entries = append(entries, entry(m))
		for _, alias := range m.Aliases {
			named := entry(m)
			named.ID = alias
			entries = append(entries, named)
		}
	}
	return x.answer(http.StatusOK, openai.AppendModels(nil, entries))
}

// showModel tells of one model. Its name may hold slashes, as Hugging Face's do; without a name, all are listed.
func (s *Server) showModel(ctx context.Context, x *exchange) error {
	id := x.r.PathValue("id")
	if id == "" {
		return s.listModels(ctx, x)
	}
	m, err := s.find(llm.ModelID(id))
	if err != nil {
		return err
	}
	if err := x.may(m.ID); err != nil {
		return err
	}
	x.model = m.ID
	named := entry(m)
	named.ID = llm.ModelID(id)
	return x.answer(http.StatusOK, openai.AppendModel(nil, named))
}

func entry(m registry.Model) openai.ModelEntry {
	return openai.ModelEntry{ID: m.ID, Created: m.Created.Unix(), OwnedBy: m.OwnedBy, ContextLength: m.About.ContextLength}
}

// find gives a served model. The error names the nearest.
func (s *Server) find(id llm.ModelID) (registry.Model, error) {
	if m, ok := s.models.Get(id); ok {
		return m, nil
	}
	return registry.Model{}, &llm.Error{Kind: llm.UnknownModel, Param: "model", Message: fmt.Sprintf("The model %.200q is not served here; %s.", id, serve.Suggest(s.models.List(), id))}
}

// vocabulary finds the tokens of a model. Where only one model is served, its name may be left out.
func (x *exchange) vocabulary(id llm.ModelID) (llm.Vocabulary, error) {
	if id == "" {
		list := x.s.models.List()
		if len(list) != 1 {
			return nil, llm.InvalidField("model", "model is missing, and %d models are served here; %s.", len(list), serve.Suggest(list, id))
		}
		id = list[0].ID
	}
	m, err := x.s.find(id)
	if err != nil {
		return nil, err
	}
	if err := x.may(m.ID); err != nil {
		return nil, err
	}
	x.model = m.ID
	if m.Vocabulary == nil {
		return nil, llm.InvalidField("model", "The tokens of model %q are not known here; ask where it runs.", m.ID)
	}
	return m.Vocabulary, nil
}
