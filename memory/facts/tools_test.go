package facts_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/memory/facts"
	"github.com/agentrun-dev/agentrun/tools"
)

// The tools in activities, with a crash at each point: each fact is there once.
func TestToolsSurvive(t *testing.T) {
	type call struct{ Tool, Arguments string }
	var client *durable.Client
	m, err := facts.New(facts.Options{Client: func(context.Context) (*durable.Client, error) { return client, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	set := map[string]tools.Tool{}
	for _, x := range m.Tools(func(ctx context.Context) (facts.Scopes, error) {
		info, _ := durable.Info(ctx)
		return facts.Scopes{User: info.Tags["user"], Agent: "helper"}, nil
	}) {
		set[x.Name()] = x
	}
	act := durable.NewActivity("tool", func(ctx context.Context, in call) (string, error) {
		info, _ := durable.Info(ctx)
		res, err := set[in.Tool].Call(ctx, tools.Call{Key: info.Key, Arguments: in.Arguments, Run: info.Instance, Agent: "helper"})
		return res.Content, err
	})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, list []call) ([]string, error) {
		var out []string
		for _, c := range list {
			s, err := act.Call(ctx, c)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		return out, nil
	})
	durabletest.CrashEverywhere(t, []durable.Definition{facts.Definitions(), act, run}, func(ctx context.Context, env *durabletest.Env) (map[string]any, error) {
		client = env.Client()
		out, err := run.Run(ctx, client, []call{
			{"remember", `{"text":"She likes tea.","tags":["drinks"]}`},
			{"remember", `{"text":"The index is slow.","about":"agent"}`},
			{"recall", `{"query":"drinks slow"}`},
		}, durable.WithTags(map[string]string{"user": "anna"}), durable.WithInstanceID("r"))
		if err != nil {
			return nil, err
		}
		list, err := m.List(ctx, facts.User("anna"))
		if err != nil {
			return nil, err
		}
		res := map[string]any{"facts": len(list), "tea": strings.Contains(out[2], "tea"), "slow": strings.Contains(out[2], `"about":"agent"`)}
		if len(list) == 1 {
			res["from"] = list[0].Run + " " + list[0].Agent
			gone, err := run.Run(ctx, client, []call{{"forget", fmt.Sprintf(`{"id":%q}`, list[0].ID)}, {"recall", `{}`}}, durable.WithTags(map[string]string{"user": "anna"}))
			if err != nil {
				return nil, err
			}
			res["forgotten"] = gone[0] + fmt.Sprint(strings.Contains(gone[1], "tea"))
		}
		return res, nil
	})
}

func TestTools(t *testing.T) {
	m := memoryOf(t, open(t, "memory:"), "", nil)
	who := facts.Scopes{User: "anna"}
	set := m.Tools(func(context.Context) (facts.Scopes, error) { return who, nil })
	ask := func(tool int, arguments string) string {
		t.Helper()
		res, err := set[tool].Call(t.Context(), tools.Call{Key: arguments, Arguments: arguments})
		if err != nil {
			return "error: " + err.Error()
		}
		return res.Content
	}
	for _, c := range []struct {
		tool            int
		arguments, want string
	}{
		{0, `{"text":"She likes tea."}`, "Remembered as "},
		{0, `{"text":"x","about":"team"}`, `error: nothing is kept about "team" here; there are: [user]`},
		{0, `{"text":"x","about":"everybody"}`, "error: "},
		{0, `{"text":""}`, "error: facts: a fact has no text"},
		{1, `{"query":"tea"}`, `"about":"user","text":"She likes tea."`},
		{1, `{"query":"coffee"}`, "Nothing was found."},
		{1, `{"limit":1000}`, "error: "},
		{2, `{"id":"nope"}`, `error: there is no fact "nope"`},
	} {
		if got := ask(c.tool, c.arguments); !strings.Contains(got, c.want) {
			t.Errorf("%s(%s): %s, not %s", set[c.tool].Name(), c.arguments, got, c.want)
		}
	}
	who = facts.Scopes{User: "bob"}
	if got := ask(1, `{}`); got != "Nothing was found." {
		t.Errorf("another user sees %s", got)
	}
	who = facts.Scopes{}
	for i, arguments := range []string{`{"text":"x"}`, `{}`, `{"id":"x"}`} {
		if got := ask(i, arguments); i != 1 && !strings.Contains(got, "error") {
			t.Errorf("%s without a scope: %s", set[i].Name(), got)
		}
	}
}
