package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// Scopes says whose facts a run may read and write.
type Scopes struct {
	User  string // id of the person it is for
	Agent string // name of the agent
	Team  string // that the agent works in
}

// named gives the scopes that there are, by the words that a model uses for them.
func (s Scopes) named() (names []string, scopes map[string]Scope) {
	scopes = map[string]Scope{}
	for _, x := range []struct {
		name string
		id   string
		of   func(string) Scope
	}{{"user", s.User, User}, {"agent", s.Agent, Agent}, {"team", s.Team, Team}} {
		if x.id != "" {
			names = append(names, x.name)
			scopes[x.name] = x.of(x.id)
		}
	}
	return names, scopes
}

// find gives the scope that a model means.
func (s Scopes) find(about string) (Scope, error) {
	names, scopes := s.named()
	if about == "" && len(names) > 0 {
		about = names[0]
	}
	if scope, ok := scopes[about]; ok {
		return scope, nil
	}
	return "", fmt.Errorf("nothing is kept about %q here; there are: %v", about, names)
}

type rememberInput struct {
	Text  string   `json:"text" jsonschema:"description=The fact as one or two full sentences that can be understood without this conversation."`
	About string   `json:"about,omitempty" jsonschema:"enum=user,enum=agent,enum=team,description=Whom it is kept for: the user\\, you alone\\, or your team. The user if left out."`
	Tags  []string `json:"tags,omitempty" jsonschema:"description=A few words to find it by."`
}

type recallInput struct {
	Query string `json:"query,omitempty" jsonschema:"description=Words of what is to be found; left out: the newest facts."`
	Limit int    `json:"limit,omitempty" jsonschema:"description=How many facts at most.,minimum=1,maximum=100,default=10"`
}

type forgetInput struct {
	ID string `json:"id" jsonschema:"description=The id that recall gave."`
}

// recalled is a fact as a model is told it.
type recalled struct {
	ID    string   `json:"id"`
	About string   `json:"about"`
	Text  string   `json:"text"`
	Tags  []string `json:"tags,omitempty"`
	When  string   `json:"when"` // date
}

// Tools gives an agent the tools remember, recall and forget. scopes says whose facts the
// run of a call may use: it is asked with the call's context, so it finds the run's tags
// there, and must not take the model's word for whom it serves.
//
// A call that is repeated after a crash remembers once: its key makes the fact's id.
func (m *Memory) Tools(scopes func(ctx context.Context) (Scopes, error)) []tools.Tool {
	return []tools.Tool{
		tools.New("remember", "Keeps a fact for later conversations. Use it for what stays true: preferences, decisions, names; never for passwords or keys.",
			func(ctx context.Context, in rememberInput) (string, error) {
				s, err := scopes(ctx)
				if err != nil {
					return "", err
				}
				scope, err := s.find(in.About)
				if err != nil {
					return "", err
				}
				call, _ := tools.FromContext(ctx)
				id, err := m.Remember(ctx, scope, NewFact{Key: call.Key, Text: in.Text, Tags: in.Tags, Run: call.Run, Agent: call.Agent})
				if errors.Is(err, ErrPending) {
					return fmt.Sprintf("Noted as %s; it can be recalled in a while.", id), nil
				}
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("Remembered as %s.", id), nil
			}, tools.Idempotent()),
		tools.New("recall", "Finds facts that were remembered in earlier conversations.",
			func(ctx context.Context, in recallInput) (string, error) {
				s, err := scopes(ctx)
				if err != nil {
					return "", err
				}
				if in.Limit == 0 {
					in.Limit = 10
				}
				return m.recall(ctx, s, in)
			}, tools.Pure()),
		tools.New("forget", "Forgets a fact, because it is wrong, out of date, or the user wishes it.",
			func(ctx context.Context, in forgetInput) (string, error) {
				s, err := scopes(ctx)
				if err != nil {
					return "", err
				}
				return m.forget(ctx, s, in.ID)
			}, tools.Idempotent()),
	}
}

func (m *Memory) recall(ctx context.Context, s Scopes, in recallInput) (string, error) {
	_, scopes := s.named()
	about := map[Scope]string{}
	var list []Scope
	for name, scope := range scopes {
		about[scope] = name
		list = append(list, scope)
	}
	found, err := m.Search(ctx, list, in.Query, in.Limit)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "Nothing was found.", nil
	}
	out := make([]recalled, len(found))
	for i, f := range found {
		out[i] = recalled{f.Fact.ID, about[f.Scope], f.Fact.Text, f.Fact.Tags, f.Fact.At.Format(time.DateOnly)}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

func (m *Memory) forget(ctx context.Context, s Scopes, id string) (string, error) {
	names, scopes := s.named()
	if len(names) == 0 {
		_, err := s.find("")
		return "", err
	}
	for _, name := range names {
		st, _, err := m.state(ctx, scopes[name])
		if err != nil {
			return "", err
		}
		if slices.Contains(st.Forgotten, id) { // by an attempt of this call that was cut off, perhaps
			return "Forgotten.", nil
		}
		switch n, err := m.Forget(ctx, scopes[name], id); {
		case err != nil && !errors.Is(err, ErrPending):
			return "", err
		case n > 0:
			return "Forgotten.", nil
		}
	}
	return "", fmt.Errorf("there is no fact %q", id)
}
