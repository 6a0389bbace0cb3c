package history

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// drawEvent draws an event of any kind with the fields that its layout has.
func drawEvent(t *rapid.T) *Event {
	text := rapid.String()
	number := rapid.Int32()
	e := &Event{
		Kind:    Kind(rapid.IntRange(int(firstKind), len(layouts)+2).Draw(t, "kind")),
		ID:      number.Draw(t, "id"),
		Time:    drawTime(t),
		Attempt: number.Draw(t, "attempt"),
		Call:    number.Draw(t, "call"),
	}
	if rapid.Bool().Draw(t, "terms") {
		e.Terms = &Terms{
			StartToClose: time.Duration(rapid.Int64().Draw(t, "start to close")), Heartbeat: time.Duration(rapid.Int64().Draw(t, "heartbeat")),
			Deadline: drawTime(t), Priority: number.Draw(t, "priority"),
		}
	}
	l := e.Kind.layout()
	if l == nil || l.raw {
		e.Raw = slices.Clone(rapid.SliceOf(rapid.Byte()).Draw(t, "raw"))
		return e
	}
	for _, f := range l.fields {
		switch f.form {
		case asText, asWrapped:
			*e.text(f.slot) = text.Draw(t, "text")
		case asPayload:
			switch rapid.IntRange(0, 2).Draw(t, "data") {
			case 1:
				e.Data = append(Payload{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...)
			case 2:
				e.DataRef = HashOf([]byte(text.Draw(t, "referred")))
			}
		case asNumber:
			*e.number(f.slot) = number.Draw(t, "number")
		case asBool:
			e.Recurse = rapid.Bool().Draw(t, "bool")
		case asTexts:
			e.LockSet = rapid.SliceOfN(text, 1, -1).Draw(t, "texts")
		case asTimestamp:
			e.FireAt = drawTime(t)
		case asInstance:
			e.Instance = Instance{text.Draw(t, "instance"), text.Draw(t, "execution")}
		case asParent:
			e.Parent = rapid.Ptr(rapid.Custom(func(t *rapid.T) Parent {
				return Parent{Instance{text.Draw(t, "id"), text.Draw(t, "execution")}, text.Draw(t, "name"),
					text.Draw(t, "version"), number.Draw(t, "scheduled")}
			}), true).Draw(t, "parent")
		case asTrace:
			e.Trace = TraceContext{text.Draw(t, "parent"), text.Draw(t, "state"), text.Draw(t, "span")}
		case asFailure:
			e.Failure = drawFailure(t, rapid.IntRange(0, 4).Draw(t, "failures"))
		case asTags:
			e.Tags = rapid.MapOfN(text, text, 1, 20).Draw(t, "tags")
		}
	}
	return e
}

func drawTime(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "no time") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(minSeconds+1, maxSeconds).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanos")).UTC()
}

func drawFailure(t *rapid.T, depth int) *Failure {
	if depth == 0 {
		return nil
	}
	f := &Failure{
		Type: rapid.String().Draw(t, "type"), Message: rapid.String().Draw(t, "message"), Stack: rapid.String().Draw(t, "stack"),
		NonRetriable: rapid.Bool().Draw(t, "non-retriable"), Cause: drawFailure(t, depth-1),
	}
	if rapid.Bool().Draw(t, "properties") {
		value := rapid.OneOf(rapid.Just[any](nil), rapid.Float64().AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(),
			rapid.SliceOf(rapid.String()).AsAny(), rapid.MapOf(rapid.String(), rapid.Float64()).AsAny())
		f.Properties = make(map[string]json.RawMessage)
		for k, v := range rapid.MapOfN(rapid.String(), value, 1, 4).Draw(t, "values") {
			f.Properties[k] = marshalValue(v)
		}
	}
	return f
}

// TestRoundTrip: what is written is read back as it was, always from the same bytes, and the generated
// code agrees wherever the text is UTF-8.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEvent(t)
		prefix := []byte("before")
		b := AppendEvent(prefix, want)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatal("the buffer's content was not kept")
		}
		b = b[len(prefix):]
		got, err := DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, noRaw); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if again := AppendEvent(make([]byte, 0, 10_000), got); !bytes.Equal(again, b) {
			t.Fatalf("the same event gave other bytes:\n%x\n%x", b, again)
		}
		m := new(protocol.HistoryEvent)
		if err := proto.Unmarshal(b, m); err != nil {
			return // not UTF-8
		}
		foreign, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = DecodeEvent(foreign); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, noRaw); diff != "" {
			t.Fatalf("by the generated code (-want +got):\n%s", diff)
		}
	})
}

// FuzzDecode: whatever comes, there is an error or an event, and that event is written and read
// back as itself. Rows hold to the same.
func FuzzDecode(f *testing.F) {
	for i := range eventTypes().Len() {
		f.Add(must(proto.Marshal(fullEvent(eventTypes().Get(i)))))
	}
	f.Add([]byte{10, 200, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		for e, err := range DecodeRows(b) {
			if (e == nil) == (err == nil) {
				t.Fatalf("row gave event %v and error %v", e, err)
			}
		}
		e, err := DecodeEvent(b)
		if err != nil {
			return
		}
		b = AppendEvent(nil, e)
		got, err := DecodeEvent(b)
		if err != nil {
			t.Fatalf("%+v was written and cannot be read: %v", e, err)
		}
		if again := AppendEvent(nil, got); !bytes.Equal(again, b) {
			t.Fatalf("written twice, it differs:\n%x\n%x", b, again)
		}
		_ = Describe(got)
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("%+v as JSON: %v", got, err)
		}
	})
}
