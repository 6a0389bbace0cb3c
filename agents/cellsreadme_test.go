package agents_test

import (
	"os"
	"strings"
	"testing"
)

// readmeRows are the rows of the README's effect table: how it calls a crash point.
var readmeRows = map[crashPoint]string{
	beforeIntent:  "before the call is on disk",
	afterIntent:   "after its intent, before the tool is called",
	beforeEffect:  "in the tool, before it has an effect",
	afterEffect:   "after the effect, before the result is on disk",
	afterReceipt:  "after its result is on disk",
	whileWaiting:  "while it waits for approval, or was approved",
	afterDecision: "while it waits for approval, or was approved",
	afterApproval: "while it waits for approval, or was approved",
}

// TestReadmeEffectTable holds the README's effect table to the one that TestEffectCells
// tests.
func TestReadmeEffectTable(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, cells, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && line[0] == '|' {
			rows[name] = strings.TrimSpace(cells)
		}
	}
	for _, row := range effectTable {
		want := strings.Join([]string{
			row.repeatable.inReadme(row.point), row.once.inReadme(row.point), row.both.inReadme(row.point),
		}, " | ") + " |"
		if got := rows[readmeRows[row.point]]; got != want {
			t.Errorf("%s: the README says\n%s\nand what is tested is\n%s", row.point, got, want)
		}
	}
}

// inReadme is what the README says of a cell.
func (a *after) inReadme(p crashPoint) string {
	switch {
	case a == nil:
		return "–"
	case a.request:
		return "a person is asked"
	case a.questions > 0 && a.told == "paid before":
		return "`Reconcile` finds it: not made again"
	case a.questions > 0 && a.starts == 2:
		return "`Reconcile` finds nothing: made again"
	case a.questions > 0:
		return "`Reconcile` finds nothing: made, once"
	case a.starts == 2:
		return "made again, same key"
	case p == afterReceipt:
		return "not made again"
	}
	return "made, once"
}
