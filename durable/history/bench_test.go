package history

import (
	"bytes"
	"testing"
	"time"
)

// step is the kind of event that there is most of: an activity with an input of 1 KiB.
func step() *Event {
	return &Event{
		Kind: TaskScheduled, ID: 12, Time: time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC),
		Name: "search_logs", Data: bytes.Repeat([]byte("x"), 1024), Call: 3, Attempt: 1,
	}
}

// TestAllocations is the promise that the engine builds on: writing into a buffer with room costs no
// allocation, reading an event one for itself and one for its data.
func TestAllocations(t *testing.T) {
	e := step()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = AppendRow(buf[:0], e) }); n != 0 {
		t.Errorf("AppendRow allocates %v times", n)
	}
	b := AppendEvent(nil, e)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeEvent(b); err != nil {
			t.Error(err)
		}
	}); n > 2 {
		t.Errorf("DecodeEvent allocates %v times", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	e := step()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(AppendRow(nil, e))))
	for b.Loop() {
		buf = AppendRow(buf[:0], e)
	}
}

func BenchmarkDecode(b *testing.B) {
	row := AppendRow(nil, step())
	b.ReportAllocs()
	b.SetBytes(int64(len(row)))
	for b.Loop() {
		for _, err := range DecodeRows(row) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
