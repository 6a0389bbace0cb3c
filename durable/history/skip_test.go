package history_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
)

func TestSkipRows(t *testing.T) {
	var row []byte
	for i := range 5 {
		row = history.AppendRow(row, &history.Event{Kind: history.TimerFired, ID: -1, Answers: int32(i)})
	}
	for n := range 8 {
		rest, left, err := history.SkipRows(row, n)
		if err != nil || left != max(0, n-5) {
			t.Fatalf("skipped %d: %d left, %v", n, left, err)
		}
		next := n
		for ev, err := range history.DecodeRows(rest) {
			if err != nil || ev.Answers != int32(next) {
				t.Fatalf("skipped %d: %+v, %v", n, ev, err)
			}
			next++
		}
		if next != max(n, 5) {
			t.Errorf("skipped %d, and then came %d", n, next-n)
		}
	}
	if _, _, err := history.SkipRows(row[:len(row)-1], 5); err == nil {
		t.Error("a row that is cut off was passed over")
	}
}
