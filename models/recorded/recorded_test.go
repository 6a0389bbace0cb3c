package recorded_test

import (
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/recorded"
)

func answer(text string) models.Response {
	return models.Response{Message: models.AssistantMessage(text), Finish: models.FinishStop}
}

func TestFirstAnswerStands(t *testing.T) {
	req := &models.Request{Model: "m"}
	m := recorded.New([]recorded.Answer{{Hash: req.Hash(), Response: answer("first")}, {Hash: req.Hash(), Response: answer("second")}})
	for range 3 {
		resp, err := models.Collect(m.Generate(t.Context(), req))
		if err != nil || resp.Message.Content != "first" {
			t.Errorf("answer %+v, error %v", resp, err)
		}
	}
	if m.Len() != 1 {
		t.Errorf("Len is %d", m.Len())
	}
}

func TestNoAnswer(t *testing.T) {
	req := &models.Request{Model: "gpt-4.1", Agent: "planner", Messages: []models.Message{models.UserMessage("hi")}}
	other := *req
	other.Agent = "critic"
	m := recorded.New([]recorded.Answer{{Hash: other.Hash(), Response: answer("not yours")}})
	_, err := models.Collect(m.Generate(t.Context(), req))
	if models.KindOf(err) != models.KindNoAnswer {
		t.Fatalf("error is %v", err)
	}
	for _, says := range []string{`agent "planner"`, `model "gpt-4.1"`, req.Hash(), "turn 1"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("error %q does not say %q", err, says)
		}
	}
}

// TestUnusableAnswer shows that a recording gets no less scrutiny than a server.
func TestUnusableAnswer(t *testing.T) {
	req := &models.Request{Model: "m"}
	m := recorded.New([]recorded.Answer{{Hash: req.Hash(), Response: answer("")}})
	if _, err := models.Collect(m.Generate(t.Context(), req)); models.KindOf(err) != models.KindMalformed {
		t.Errorf("error is %v", err)
	}
}
