package scripted_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

// request is a conversation whose next answer is the given turn.
func request(agent string, turn int, user, tool string) *models.Request {
	req := &models.Request{Model: "m", Agent: agent, Messages: []models.Message{models.SystemMessage("You are " + agent + "."), models.UserMessage(user)}}
	for i := 1; i < turn; i++ {
		call := models.ToolCall{ID: fmt.Sprint(i), Name: "t"}
		req.Messages = append(req.Messages, models.AssistantMessage("", call), models.ToolMessage(call, "older"))
	}
	if tool != "" {
		call := models.ToolCall{ID: "x", Name: "t"}
		req.Messages = append(req.Messages, models.ToolMessage(call, tool))
	}
	return req
}

func text(t *testing.T, m models.Model, req *models.Request) string {
	t.Helper()
	resp, err := models.Collect(m.Generate(t.Context(), req))
	if err != nil {
		return string(models.KindOf(err))
	}
	return resp.Message.Content
}

func TestWhichEntry(t *testing.T) {
	script := []scripted.Entry{
		{Agent: "a", Text: "a1"},
		{Agent: "b", Text: "b1"},
		{Agent: "a", When: scripted.When{Tool: "error"}, Text: "a sees an error"},
		{Agent: "a", Text: "a2"},
		{Text: "any1"},
		{Agent: "a", Turn: 5, Text: "a5"},
		{Agent: "a", Turn: 6, When: scripted.When{User: "six"}, Text: "a6 six"},
		{When: scripted.When{System: "You are c.", User: "x", Tool: "y"}, Text: "c, x and y"},
		{Agent: "a", Text: "a3"},
		{Agent: "judge", Always: true, Text: "pass"},
		{Text: "any2"},
	}
	tests := []struct {
		agent      string
		turn       int
		user, tool string
		want       string
	}{
		{"a", 1, "", "", "a1"},
		{"a", 2, "", "", "a2"},
		{"a", 2, "", "an error came", "a sees an error"},
		{"a", 3, "", "", "a3"},
		{"a", 4, "", "", "no_answer"},
		{"a", 5, "", "", "a5"},
		{"a", 6, "", "", "no_answer"},
		{"a", 6, "take six", "", "a6 six"},
		{"b", 1, "", "", "b1"},
		{"b", 2, "", "", "any2"}, // an agent's turns not written for it fall to those for any
		{"c", 1, "", "", "any1"},
		{"c", 4, "x", "y", "c, x and y"},
		{"c", 4, "x", "z", "no_answer"},
		{"d", 4, "x", "y", "no_answer"},
		{"judge", 9, "", "", "pass"},
	}
	m := scripted.New(script...)
	for _, tt := range tests {
		// Twice and in any order: nothing is counted.
		for range 2 {
			if got := text(t, m, request(tt.agent, tt.turn, tt.user, tt.tool)); got != tt.want {
				t.Errorf("%s turn %d user %q tool %q: %q; want %q", tt.agent, tt.turn, tt.user, tt.tool, got, tt.want)
			}
		}
	}
}

func TestNoAnswerSaysWhat(t *testing.T) {
	m := scripted.New(
		scripted.Entry{Agent: "planner", Text: "p"},
		scripted.Entry{Agent: "planner", When: scripted.When{Tool: "failed"}, Text: "q"},
		scripted.Entry{Agent: "critic", Text: "c"},
		scripted.Entry{Turn: 9, Text: "n"},
	)
	_, err := models.Collect(m.Generate(t.Context(), request("planner", 2, "plan it", "all went well")))
	want := `scripted: no_answer: the script has no answer for agent "planner" turn 2, whose last message is tool "all went well"; ` +
		`it has: planner turn 1; planner when tool has "failed"; any agent turn 9; and 1 for other agents (critic)`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = models.Collect(scripted.New(scripted.Entry{Agent: "x", Text: "y"}).Generate(t.Context(), request("z", 1, "", "")))
	if err == nil || !strings.Contains(err.Error(), "no entry for this agent") {
		t.Errorf("error is %v", err)
	}
}

func TestAnswers(t *testing.T) {
	usage := models.Usage{InputTokens: 7}
	m := scripted.New(
		scripted.Entry{Text: "see", Calls: []scripted.Call{
			{Tool: "f", Arguments: map[string]any{"b": 1, "a": []string{"x"}}},
			{Tool: "g", Arguments: `{"broken":`},
			{Tool: "h"},
			{Tool: "i", ID: "mine", Arguments: struct {
				N int `json:"n"`
			}{3}},
		}},
		scripted.Entry{Output: map[string]any{"ok": true}, Usage: &usage},
		scripted.Entry{Text: "cut off", Finish: models.FinishLength},
		scripted.Entry{Error: &scripted.Failure{Kind: models.KindRateLimit, Status: 429, Code: "busy", RetryAfter: time.Second}},
	)
	want := []string{
		`{"message":{"role":"assistant","content":"see","toolCalls":[` +
			`{"id":"call_1_1","name":"f","arguments":"{\"a\":[\"x\"],\"b\":1}"},` +
			`{"id":"call_1_2","name":"g","arguments":"{\"broken\":"},` +
			`{"id":"call_1_3","name":"h","arguments":"{}"},` +
			`{"id":"mine","name":"i","arguments":"{\"n\":3}"}]},` +
			`"finish":"tool_calls","usage":{"inputTokens":3,"outputTokens":11},"model":"m"}`,
		`{"message":{"role":"assistant","content":"{\"ok\":true}"},"finish":"stop","usage":{"inputTokens":7,"outputTokens":0},"model":"m"}`,
		`{"message":{"role":"assistant","content":"cut off"},"finish":"length","usage":{"inputTokens":9,"outputTokens":2},"model":"m"}`,
	}
	for i, w := range want {
		resp, err := models.Collect(m.Generate(t.Context(), request("", i+1, "", "")))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(resp); string(got) != w {
			t.Errorf("turn %d\ngot  %s\nwant %s", i+1, got, w)
		}
	}
	_, err := models.Collect(m.Generate(t.Context(), request("", 4, "", "")))
	if want := "scripted: rate_limit (status 429, busy): the script says so; retry after 1s"; err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := scripted.Script{
			{Text: "one two three", Latency: 4 * time.Second},
			{Error: &scripted.Failure{Kind: models.KindUnavailable}, Latency: 3 * time.Second},
		}
		m, err := script.Model(scripted.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var at []time.Duration
		for _, err := range m.Generate(t.Context(), request("", 1, "", "")) {
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, time.Since(began))
		}
		if want := []time.Duration{1e9, 2e9, 3e9, 4e9}; !slices.Equal(at, want) {
			t.Errorf("events at %v; want %v", at, want)
		}
		began = time.Now()
		_ = text(t, m, request("", 2, "", ""))
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("the error came after %s", d)
		}
		quick, err := script.Model(scripted.Options{Latency: scripted.NoLatency})
		if err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if _ = text(t, quick, request("", 1, "", "")); time.Since(began) != 0 {
			t.Error("NoLatency waits")
		}
	})
}

func TestOnCall(t *testing.T) {
	var seen []string
	m, err := scripted.Script{{Text: "hi"}}.Model(scripted.Options{OnCall: func(req *models.Request, resp *models.Response) {
		seen = append(seen, fmt.Sprintf("%s %t", req.Agent, resp != nil))
	}})
	if err != nil {
		t.Fatal(err)
	}
	_ = text(t, m, request("a", 1, "", ""))
	_ = text(t, m, request("b", 2, "", ""))
	if !slices.Equal(seen, []string{"a true", "b false"}) {
		t.Errorf("seen %q", seen)
	}
}

func TestFunc(t *testing.T) {
	given := &models.Response{Message: models.Message{ToolCalls: []models.ToolCall{{Name: "f"}}}}
	m := scripted.Func(func(*models.Request) (*models.Response, error) { return given, nil })
	resp, err := models.Collect(m.Generate(t.Context(), request("a", 2, "", "")))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Message.ToolCalls[0].ID != "call_2_1" || resp.Finish != models.FinishToolCalls || resp.Message.Role != models.RoleAssistant {
		t.Errorf("answer is %+v", resp)
	}
	if given.Message.ToolCalls[0].ID != "" {
		t.Error("what the function gave was changed")
	}
	if got := text(t, scripted.Func(func(*models.Request) (*models.Response, error) { return nil, nil }), request("a", 1, "", "")); got != "no_answer" {
		t.Errorf("nothing gives %q", got)
	}
}

func TestValidate(t *testing.T) {
	for says, e := range map[string]scripted.Entry{
		"no answer":                {Agent: "a"},
		"more than one answer":     {Text: "x", Output: 1},
		"turns count from 1":       {Turn: -1, Text: "x"},
		"cannot be negative":       {Latency: -1, Text: "x"},
		"without turn and when":    {Always: true, Turn: 1, Text: "x"},
		`kind "nope" is not known`: {Error: &scripted.Failure{Kind: "nope"}},
		`finish "nope"`:            {Text: "x", Finish: "nope"},
		"call 1 names no tool":     {Calls: []scripted.Call{{}}},
		"arguments of call 1 (f)":  {Calls: []scripted.Call{{Tool: "f", Arguments: func() {}}}},
		"output cannot be JSON":    {Output: make(chan int)},
	} {
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("New takes an invalid entry")
		}
	}()
	scripted.New(scripted.Entry{})
}
