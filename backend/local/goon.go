package local

import (
	"context"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// whole decodes a request in full whose door has only scanned it, because other endpoints of its model take what this engine does not.
// What is refused here another may take, and the error says so.
func whole(req *llm.Request) (*llm.Request, error) {
	r, err := req.Whole()
	if err == nil || req.Lazy == nil {
		return r, err
	}
	e := *llm.AsError(err)
	e.Fault = llm.FaultTask
	return nil, &e
}

// goOn lengthens the one prompt of a request by what its client has of the answer already, and leaves the rest of the answer to be
// made. With the tokens known, what follows is what would have followed, bit for bit; a text alone is cut into tokens anew.
func (b *Backend) goOn(ctx context.Context, req *llm.Request, prompts []*prompt) (*llm.Request, error) {
	if len(prompts) != 1 || req.Choices() != 1 {
		return nil, &llm.Error{Kind: llm.Invalid, Fault: llm.FaultTask, Message: "only one answer can be gone on with"}
	}
	p, g := prompts[0], req.Going
	said, err := b.said(ctx, g)
	if err != nil {
		return nil, err
	}
	before := p.tokens
	if len(g.Tokens) > 0 && len(g.Prompt) > 0 {
		if before, err = b.given(g.Prompt); err != nil {
			return nil, err
		}
	}
	p.tokens = append(append(make([]token.ID, 0, len(before)+len(said)), before...), said...)
	r := *req
	if r.Limits.MaxTokens > 0 {
		r.Limits.MaxTokens = max(1, r.Limits.MaxTokens-g.Count)
	}
	r.Limits.MinTokens = max(0, r.Limits.MinTokens-g.Count)
	return &r, nil
}

// said is what the client has of the answer, in tokens.
func (b *Backend) said(ctx context.Context, g *llm.Continuation) ([]token.ID, error) {
	switch {
	case len(g.Tokens) > 0:
		return b.given(g.Tokens)
	case g.Reasoning != "" && g.Text == "":
		return nil, &llm.Error{Kind: llm.Invalid, Fault: llm.FaultTask, Message: "reasoning cannot be gone on with without its tokens"}
	}
	return b.encodePrompt(ctx, "messages", g.Text, false)
}

// given checks token ids that another engine told.
func (b *Backend) given(list []llm.TokenID) ([]token.ID, error) {
	ids, err := b.checked(list)
	if err != nil {
		return nil, &llm.Error{Kind: llm.Invalid, Fault: llm.FaultTask, Param: "continue_tokens", Message: "continue_tokens: " + err.Error() + "."}
	}
	return ids, nil
}
