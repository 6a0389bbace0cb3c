package scenario_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/scenario"
)

// TestVerify has an expectation and a result for each line. Without a message, it holds.
func TestVerify(t *testing.T) {
	out := func(s string) scenario.Result { return scenario.Result{Output: s} }
	tests := []struct {
		expect string
		result scenario.Result
		want   string // "EXPECTATION FILE:LINE:COLUMN: message"
	}{
		{"{status: completed}", scenario.Result{Status: "completed"}, ""},
		{"{status: completed}", scenario.Result{Status: "waiting"}, "status s.yaml:4:18: the status is waiting, expected completed"},
		{"{output: {contains: [a, bc]}}", out("abc"), ""},
		{"{output: {contains: [a, C]}}", out("abc"), `output.contains s.yaml:4:33: the output does not contain "C": it is "abc"`},
		{"{output: {matches: ^a.c$}}", out("abc"), ""},
		{"{output: {matches: ^b}}", out("abc"), `output.matches s.yaml:4:28: the output does not match "^b": it is "abc"`},
		{"{output: {equals: a b}}", out("a b\n"), ""},
		{"{output: {equals: a b}}", out(`"a b"`), ""},
		{"{output: {equals: a b}}", out("a c"), `output.equals s.yaml:4:27: the output is not "a b": it is "a c"`},
		{"{output: {equals: {a: 1, b: [x, null, true]}}}", out(` {"b": ["x", null, true], "a": 1.0} `), ""},
		{"{output: {equals: {a: 1}}}", out(`{"a": 1, "b": 2}`), `output.equals s.yaml:4:27: the output is not {"a":1}: it is "{\"a\": 1, \"b\": 2}"`},
		{"{output: {equals: [1, 2]}}", out(`[2, 1]`), `output.equals s.yaml:4:27: the output is not [1,2]: it is "[2, 1]"`},
		{"{output: {equals: [1]}}", out(`["1"]`), `output.equals s.yaml:4:27: the output is not [1]: it is "[\"1\"]"`},
		{"{output: {equals: 9007199254740993}}", out("9007199254740992"), `output.equals s.yaml:4:27: the output is not 9007199254740993: it is "9007199254740992"`},
		{"{output: {equals: 7}}", out("seven"), `output.equals s.yaml:4:27: the output is not 7: it is "seven"`},
		{"{output: {equals: 7}}", out("7 7"), `output.equals s.yaml:4:27: the output is not 7: it is "7 7"`},
		{"{output: {schema: {type: object, required: [a]}}}", out(`{"a": 1}`), ""},
		{"{output: {schema: {properties: {a: {type: string}}}}}", out(`{"a": 1}`), `output.schema s.yaml:4:27: a in the output does not fit the schema: got number, want string: it is "{\"a\": 1}"`},
		{"{output: {schema: {type: object}}}", out("hello"), `output.schema s.yaml:4:27: the output is not JSON: it is "hello"`},
		{"{tools: {called: [a, b]}}", scenario.Result{Tools: map[string]int{"a": 1, "b": 2, "c": 1}}, ""},
		{"{tools: {called: [a, b]}}", scenario.Result{Tools: map[string]int{"a": 1}}, "tools.called s.yaml:4:30: the tool b was not called"},
		{"{tools: {notCalled: [c]}}", scenario.Result{Tools: map[string]int{"a": 1}}, ""},
		{"{tools: {notCalled: [c]}}", scenario.Result{Tools: map[string]int{"c": 2}}, "tools.notCalled s.yaml:4:30: the tool c was called (number of calls: 2), expected none"},
		{"{turns: {max: 3}}", scenario.Result{Turns: 3}, ""},
		{"{turns: {max: 3}}", scenario.Result{Turns: 4}, "turns.max s.yaml:4:23: the number of turns is 4, expected at most 3"},
		{"{approvals: 0}", scenario.Result{}, ""},
		{"{approvals: 1}", scenario.Result{}, "approvals s.yaml:4:21: the number of approvals is 0, expected 1"},
		{"{approvals: 1}", scenario.Result{Approvals: 2}, "approvals s.yaml:4:21: the number of approvals is 2, expected 1"},
	}
	for _, tt := range tests {
		s, err := scenario.Parse("s.yaml", []byte(small+"expect: "+tt.expect+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range s.Verify(tt.result) {
			got = append(got, f.Expectation+" "+f.String())
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s of %+v (-want +got):\n%s", tt.expect, tt.result, diff)
		}
	}
}

func TestVerifyReportsAll(t *testing.T) {
	s := load(t, "testdata/valid/everything.yaml")
	var got []string
	for _, f := range s.Verify(scenario.Result{Status: "failed", Output: "no", Tools: map[string]int{"roll_back": 1}, Turns: 21}) {
		got = append(got, f.Expectation)
	}
	want := []string{"status", "output.contains", "output.contains", "output.matches", "output.equals", "output.schema",
		"tools.called", "tools.notCalled", "turns.max", "approvals"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	s, err := scenario.Parse("s.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Verify(scenario.Result{}); f != nil {
		t.Errorf("failures without expectations: %v", f)
	}
	// A scenario made in Go has no places.
	inGo := &scenario.Scenario{Expect: &scenario.Expect{Status: "completed", Output: &scenario.ExpectOutput{Matches: "("}}}
	if f := inGo.Verify(scenario.Result{}); len(f) != 2 {
		t.Errorf("failures are %v", f)
	}
}
