package models

import (
	"context"
	"fmt"
	"iter"
)

// CheckUsage reports, as an [*Error] of KindNoUsage, that the answer does not say
// what it took: a provider that reports no usage has not given it away. Usage that
// cannot be (negative, or no tokens for text that is there) is none.
func (r *Response) CheckUsage() error {
	u, m := r.Usage, &r.Message
	said := m.Content != "" || len(m.ToolCalls) > 0
	if u.InputTokens > 0 && u.OutputTokens >= 0 && (u.OutputTokens > 0 || !said) && u.CachedTokens >= 0 && u.ReasoningTokens >= 0 {
		return nil
	}
	return &Error{Kind: KindNoUsage, Message: fmt.Sprintf(
		"the answer reports %d input and %d output tokens, so its cost is not known; use a model whose server reports usage",
		u.InputTokens, u.OutputTokens)}
}

// RequireUsage returns a model whose answers say what they took. One that does not
// is an [*Error] of KindNoUsage instead, which is not worth another attempt: this
// is for budgets, which must not take what is unknown for nothing.
func RequireUsage(m Model) Model { return &usageRequired{m} }

type usageRequired struct{ model Model }

func (m *usageRequired) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for ev, err := range Checked(m.model.Generate(ctx, req)) {
			if err == nil && ev.Response != nil {
				err = ev.Response.CheckUsage()
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}
