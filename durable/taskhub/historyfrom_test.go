package taskhub_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestHistoryFrom reads a history from every number on, beyond its end too, here and through the
// socket.
func TestHistoryFrom(t *testing.T) {
	e := newEngine(t)
	path, _ := serve(t, e)
	if _, err := e.Start(t.Context(), engine.Start{ID: "a", Name: "script"}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := e.Raise(t.Context(), "a", "note", history.Payload(`"x"`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Raise(t.Context(), "a", "end", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for name, hub := range map[string]taskhub.Hub{"direct": e, "remote": dial(t, path)} {
		read := func(number int) (list []string) {
			for ev, err := range hub.HistoryFrom(t.Context(), "a", "", number) {
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, ev.Kind.String()+ev.Time.String())
			}
			return list
		}
		seq := hub.HistoryFrom(t.Context(), "a", "", 3)
		for range 2 { // again
			n := 0
			for range seq {
				n++
			}
			if n != len(read(0))-3 {
				t.Errorf("%s: %d events from 3 on", name, n)
			}
		}
		all := read(0)
		if len(all) < 24 {
			t.Fatalf("%s: %d events", name, len(all))
		}
		for n := range len(all) + 3 {
			rest := read(n)
			if len(rest) != max(0, len(all)-n) || len(rest) > 0 && rest[0] != all[n] {
				t.Errorf("%s: from %d on there are %d of %d", name, n, len(rest), len(all))
			}
		}
	}
}

// unaware is a program that knows no from: it gives a history from its beginning on.
type unaware struct {
	older
	rows [][]byte
}

func (u unaware) History(_ *protocol.HistoryRequest, out grpc.ServerStreamingServer[protocol.HistoryRows]) error {
	for _, rows := range u.rows {
		if err := out.Send(&protocol.HistoryRows{Rows: rows}); err != nil {
			return err
		}
	}
	return nil
}

func TestHistoryFromAnOlderProgram(t *testing.T) {
	var u unaware
	for i := range 6 {
		row := history.AppendRow(nil, &history.Event{Kind: history.TimerFired, ID: -1, Answers: int32(2 * i)})
		u.rows = append(u.rows, history.AppendRow(row, &history.Event{Kind: history.TimerFired, ID: -1, Answers: int32(2*i + 1)}))
	}
	r := dial(t, serveOlder(t, u))
	next := int32(5)
	for ev, err := range r.HistoryFrom(t.Context(), "a", "", 5) {
		if err != nil || ev.Answers != next {
			t.Fatalf("%+v, %v; want %d", ev, err, next)
		}
		next++
	}
	if next != 12 {
		t.Errorf("it ended before %d", next)
	}
}
