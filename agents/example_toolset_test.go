package agents_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// A toolset that others made: of its tools the agent gets those that only read, under
// another name. An MCP server is such a set (package tools/mcp).
func ExampleConfig_toolsets() {
	type Page struct {
		Title string `json:"title"`
	}
	wiki := tools.Static("wiki",
		tools.New("read_page", "Read a page.", func(_ context.Context, in Page) (string, error) { return in.Title + ": not much.", nil }, tools.Pure()),
		tools.New("delete_page", "Delete a page.", func(context.Context, Page) (string, error) { return "gone", nil }),
	)
	readers := tools.Filter(wiki, func(t tools.Tool) bool { return t.Effect() == tools.EffectPure })
	librarian := agents.New(agents.Config{
		Name: "librarian", Model: "script",
		Toolsets: []tools.Toolset{tools.Prefix(readers, "wiki_")},
	})

	model := scripted.Func(func(req *models.Request) (*models.Response, error) {
		var names []string
		for _, t := range req.Tools {
			names = append(names, t.Name)
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("I have " + strings.Join(names, ", ") + ".")}, nil
	})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return model, nil },
	}, librarian))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := librarian.Schedule(ctx, rt.Client(), "What can you do?")
	if err != nil {
		log.Fatal(err)
	}
	got, err := librarian.Wait(ctx, rt.Client(), run)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Text)
	// Output: I have wiki_read_page.
}
