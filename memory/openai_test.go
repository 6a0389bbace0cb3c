package memory_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// recorded gives the real recordings: 200 runs of an agent of an airline.
func recorded(t testing.TB) []json.RawMessage {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "tau-bench-airline", "trajectories.json.gz")
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skipf("no recordings: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var runs []struct {
		Traj json.RawMessage `json:"traj"`
	}
	if err := json.NewDecoder(z).Decode(&runs); err != nil {
		t.Fatal(err)
	}
	out := make([]json.RawMessage, len(runs))
	for i, r := range runs {
		out[i] = r.Traj
	}
	return out
}

// Recordings in which ids repeat: every result is that of the call just before it.
func TestOpenAIRecordings(t *testing.T) {
	ids, calls, repeated := map[string]bool{}, 0, 0
	var last []models.Message
	for n, raw := range recorded(t) {
		list, err := memory.DecodeOpenAI(raw)
		if err != nil {
			t.Fatalf("run %d: %v", n, err)
		}
		here := map[string]bool{}
		for i, m := range list {
			for _, c := range m.ToolCalls {
				if calls++; here[c.ID] {
					repeated++
				}
				here[c.ID], ids[c.ID] = true, true
				if r := list[i+1]; r.Role != models.RoleTool || r.ToolCallID != c.ID || r.Name != c.Name {
					t.Errorf("run %d: the call %+v is followed by %+v", n, c, r)
				}
			}
		}
		b, err := memory.EncodeOpenAI(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := memory.DecodeOpenAI(b)
		if diff := cmp.Diff(list, again); err != nil || diff != "" {
			t.Errorf("run %d came back otherwise: %v\n%s", n, err, diff)
		}
		last = list
	}
	if calls != 1164 || len(ids) != 134 || repeated != 73 {
		t.Errorf("%d calls, %d ids, %d repeated: not the recordings that are known", calls, len(ids), repeated)
	}
	rt, load := open(t, "memory:")
	defer rt.Close()
	var got []models.Message
	for _, it := range items(t, load, imported(t, rt.Client(), "a", last)) {
		got = append(got, it.Message)
	}
	if diff := cmp.Diff(last, got); diff != "" {
		t.Errorf("imported and read:\n%s", diff)
	}
	b, err := memory.Export(load, head(t, rt.Client(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := memory.DecodeOpenAI(b)
	if diff := cmp.Diff(last, again); err != nil || diff != "" {
		t.Errorf("imported and exported: %v\n%s", err, diff)
	}
}

func TestDecodeOpenAI(t *testing.T) {
	call := func(id, name string) string {
		return fmt.Sprintf(`{"id":%q,"type":"function","function":{"name":%q,"arguments":"{}"}}`, id, name)
	}
	for name, c := range map[string]struct{ in, want string }{
		"object, parts, developer": {
			`{"model":"x","messages":[{"role":"developer","content":"be kind"},{"role":"user","name":"ann","content":[{"type":"text","text":"look"},
			{"type":"image_url","image_url":{"url":"data:image/png;base64,AAE=","detail":"low"}},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}`,
			`[{"role":"system","content":"be kind"},{"role":"user","content":"look","images":[{"mediaType":"image/png","data":"AAE=","detail":"low"},{"url":"https://x/y.png"}]}]`},
		"an id twice in one answer, results in order": {
			`[{"role":"assistant","content":null,"tool_calls":[` + call("c", "a") + `,` + call("c", "b") + `,` + call("c-2", "d") + `]},
			{"role":"tool","tool_call_id":"c","content":"1"},{"role":"tool","tool_call_id":"c","content":"2"},{"role":"tool","tool_call_id":"c-2","content":"3"}]`,
			`[{"role":"assistant","toolCalls":[{"id":"c","name":"a","arguments":"{}"},{"id":"c-3","name":"b","arguments":"{}"},{"id":"c-2","name":"d","arguments":"{}"}]},
			{"role":"tool","content":"1","toolCallId":"c","name":"a"},{"role":"tool","content":"2","toolCallId":"c-3","name":"b"},{"role":"tool","content":"3","toolCallId":"c-2","name":"d"}]`},
		"results out of order, and one with an unknown id": {
			`[{"role":"assistant","tool_calls":[` + call("x", "a") + `,` + call("y", "b") + `]},
			{"role":"tool","tool_call_id":"y","content":"2"},{"role":"tool","tool_call_id":"?","content":"1"}]`,
			`[{"role":"assistant","toolCalls":[{"id":"x","name":"a","arguments":"{}"},{"id":"y","name":"b","arguments":"{}"}]},
			{"role":"tool","content":"2","toolCallId":"y","name":"b"},{"role":"tool","content":"1","toolCallId":"x","name":"a"}]`},
		"functions, a refusal": {
			`[{"role":"assistant","content":null,"function_call":{"name":"a","arguments":"{}"}},{"role":"function","name":"a","content":"1"},{"role":"assistant","refusal":"no"}]`,
			`[{"role":"assistant","toolCalls":[{"id":"call-1","name":"a","arguments":"{}"}]},{"role":"tool","content":"1","toolCallId":"call-1","name":"a"},{"role":"assistant","content":"no"}]`},
	} {
		var want []models.Message
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		got, err := memory.DecodeOpenAI([]byte(c.in))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	for in, want := range map[string]string{
		`{`:                 "unexpected end",
		`{}`:                `no "messages"`,
		`[{"role":"bot"}]`:  `message 0: there is no role "bot"`,
		`[{"role":"tool"}]`: "no call before it",
		`[{"role":"user","content":[{"type":"input_audio"}]}]`:    `of type "input_audio"`,
		`[{"role":"user","content":7}]`:                           "neither text nor parts",
		`[{"role":"assistant","tool_calls":[{"type":"custom"}]}]`: `of type "custom"`,
		`[{"role":"assistant","tool_calls":[` + call("x", "a") + `]},{"role":"user"},` + `{"role":"tool","tool_call_id":"x"}]`: "message 2: it is the result",
	} {
		if _, err := memory.DecodeOpenAI([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", in, err, want)
		}
	}
}

// conversation draws messages as agents append them: calls with all their results.
func conversation(t *rapid.T, n int) []models.Message {
	text := func(most int) string {
		return strings.Repeat(rapid.SampledFrom([]string{"word ", "x", "é", "{\"a\":1},"}).Draw(t, "text"), rapid.IntRange(1, most).Draw(t, "length"))
	}
	list := []models.Message{models.UserMessage(text(20))}
	for len(list) < n {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			list = append(list, models.UserMessage(text(60)))
		case 1:
			list = append(list, models.AssistantMessage(text(60)))
		default:
			m, results := models.AssistantMessage(""), []models.Message{}
			for i := range rapid.IntRange(1, 3).Draw(t, "calls") {
				c := models.ToolCall{ID: fmt.Sprint("c", i), Name: "tool", Arguments: `{"q":"` + strings.Repeat("x", rapid.IntRange(0, 9).Draw(t, "argument")) + `"}`}
				m.ToolCalls, results = append(m.ToolCalls, c), append(results, models.ToolMessage(c, text(200)))
			}
			list = append(append(list, m), results...)
		}
	}
	return list
}

func TestOpenAIRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := conversation(t, rapid.IntRange(1, 12).Draw(t, "n"))
		if rapid.Bool().Draw(t, "image") {
			list[0].Images = []models.Image{{MediaType: "image/png", Data: []byte{1, 2}}, {URL: "https://x/y", Detail: "low"}}
		}
		b, err := memory.EncodeOpenAI(list)
		if err != nil {
			t.Fatal(err)
		}
		got, err := memory.DecodeOpenAI(b)
		if diff := cmp.Diff(list, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func FuzzDecodeOpenAI(f *testing.F) {
	f.Add([]byte(`[{"role":"assistant","tool_calls":[{"id":"a"},{"id":"a"}]},{"role":"tool","tool_call_id":"a","content":[{"type":"text"}]}]`))
	f.Add([]byte(`{"messages":[{"role":"user","content":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := memory.DecodeOpenAI(data)
		if err != nil {
			return
		}
		b, err := memory.EncodeOpenAI(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := memory.DecodeOpenAI(b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, b)
		}
		b2, err := memory.EncodeOpenAI(again)
		if err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("%v\n%s\n%s", err, b, b2)
		}
	})
}
