package wire

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/models"
)

// A line of a stream may be long, for the arguments of a call. One of millions of empty
// elements must not become many times as much in memory.
func TestLineOfManyElements(t *testing.T) {
	const size = 2 << 20
	many := strings.Repeat("{},", size/3)
	for name, line := range map[string]string{
		"choices": `{"choices":[` + many + `{}]}`,
		"calls":   `{"choices":[{"delta":{"tool_calls":[` + many + `{}]}}]}`,
	} {
		raw := []byte(line)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a := answer{}
		_, err := a.add(raw)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 8*uint64(len(raw)) {
			t.Errorf("%s: %d MiB took %d MiB of memory (%v)", name, len(raw)>>20, took>>20, err)
		}
	}
}

// Of a list that is too long so much is taken that the answer is refused.
func TestTooManyCalls(t *testing.T) {
	var calls []string
	for i := range models.MaxToolCalls + 10 {
		calls = append(calls, fmt.Sprintf(`{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{}"}}`, i, i))
	}
	a := answer{}
	if _, err := a.add([]byte(`{"choices":[{"delta":{"tool_calls":[` + strings.Join(calls, ",") + `]},"finish_reason":"tool_calls"}]}`)); err != nil {
		t.Fatal(err)
	}
	if len(a.calls) != models.MaxToolCalls+1 || a.finish != "" {
		t.Errorf("%d calls, finish %q", len(a.calls), a.finish)
	}
}
