package history

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestEveryKind takes each kind with every field of its message set through our codec and back: the
// generated code, which knows nothing of our layouts, must see the same message.
func TestEveryKind(t *testing.T) {
	for i := range eventTypes().Len() {
		kind := eventTypes().Get(i)
		t.Run(Kind(kind.Number()).String(), func(t *testing.T) {
			want := fullEvent(kind)
			e, err := DecodeEvent(must(proto.Marshal(want)))
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != Kind(kind.Number()) {
				t.Errorf("kind %d, want %d", e.Kind, kind.Number())
			}
			got := new(protocol.HistoryEvent)
			if err := proto.Unmarshal(AppendEvent(nil, e), got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("after decoding and encoding (-want +got):\n%s", diff)
			}
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var again Event
			if err := json.Unmarshal(text, &again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*e, again); diff != "" {
				t.Errorf("after JSON (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEmptyKind does the same with no field set: all absent stays absent.
func TestEmptyKind(t *testing.T) {
	for i := range eventTypes().Len() {
		kind := eventTypes().Get(i)
		want := new(protocol.HistoryEvent)
		want.ProtoReflect().Mutable(kind)
		e, err := FromProto(want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Event{Kind: Kind(kind.Number())}, e, noRaw); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.Kind, diff)
		}
		got, err := ToProto(e)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(want, got) {
			t.Errorf("%s: want %v, got %v", e.Kind, want, got)
		}
		b, n := protowire.ConsumeBytes(must(AppendProto(nil, e)))
		short := new(protocol.HistoryEvent)
		if err := proto.Unmarshal(b, short); err != nil || n < len(b) || !proto.Equal(want, short) {
			t.Errorf("%s: want %v, got %v by its bytes, %v", e.Kind, want, short, err)
		}
	}
}

// TestSameBytes: on the wire our events look as the generated code writes them, so that a decoder which
// is strict about what it takes takes them too. (The order of maps alone is ours.)
func TestSameBytes(t *testing.T) {
	for _, e := range []*Event{
		{Kind: TaskCompleted, ID: FromOutside, Time: time.Unix(-1, 5), Answers: -2, Data: Payload("")},
		{Kind: TaskScheduled, ID: 300, Name: "a", Version: "1", Data: Payload(strings.Repeat("x", 20_000)), Tags: map[string]string{"a": "b"}},
		{Kind: TaskFailed, Failure: &Failure{Type: "E", Stack: strings.Repeat("s", 300), Cause: &Failure{NonRetriable: true}}},
	} {
		if got, want := AppendEvent(nil, e), must(proto.Marshal(must(ToProto(e)))); !bytes.Equal(got, want) {
			t.Errorf("%s: got %.80x, want %.80x", e.Kind, got, want)
		}
	}
}

// noRaw lets an empty Raw equal none.
var noRaw = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Raw" },
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }))

// TestAbsentIsNotEmpty: every kind that has a payload keeps the difference.
func TestAbsentIsNotEmpty(t *testing.T) {
	for k := range layouts {
		if !slices.ContainsFunc(layouts[k].fields, func(f field) bool { return f.form == asPayload }) {
			continue
		}
		for _, data := range []Payload{nil, {}, Payload("x")} {
			e := &Event{Kind: Kind(k), Data: data}
			for what, got := range map[string]*Event{
				"wire":     must(DecodeEvent(AppendEvent(nil, e))),
				"protobuf": must(FromProto(must(ToProto(e)))),
			} {
				if (got.Data == nil) != (data == nil) || !bytes.Equal(got.Data, data) {
					t.Errorf("%s by %s: %#v came back as %#v", e.Kind, what, data, got.Data)
				}
			}
		}
	}
}

// TestExtensions: ours survive our codec, and neither leave by ToProto nor enter by FromProto.
func TestExtensions(t *testing.T) {
	e := &Event{Kind: TaskScheduled, ID: 5, Name: "charge", Data: Payload("secret"), DataRef: HashOf([]byte("secret")), Call: 3, Attempt: 2,
		Terms: &Terms{StartToClose: time.Second, Heartbeat: -1, Deadline: time.Unix(7, 8).UTC(), Priority: 1}}
	b := AppendEvent(nil, e)
	if bytes.Contains(b, e.Data) {
		t.Error("an event with a reference has its data inside as well")
	}
	want := *e
	want.Data = nil
	if diff := cmp.Diff(want, *must(DecodeEvent(b))); diff != "" {
		t.Errorf("own codec (-want +got):\n%s", diff)
	}

	m := must(ToProto(e))
	if len(m.ProtoReflect().GetUnknown()) != 0 || m.GetTaskScheduled().GetInput().GetValue() != "secret" {
		t.Errorf("ToProto gave %v, want the data and no extension", m)
	}
	if _, err := ToProto(&want); err == nil {
		t.Error("ToProto took an event whose payload is not loaded")
	}
	short, err := AppendProto([]byte("before"), e)
	if err != nil || !bytes.Equal(short[:6], []byte("before")) || !bytes.Equal(short[7:], must(proto.Marshal(m))) {
		t.Errorf("AppendProto gave %q, %v, want what ToProto's message is", short, err)
	}
	if short, err = AppendProto([]byte("before"), &want); err == nil || string(short) != "before" {
		t.Errorf("AppendProto took an event whose payload is not loaded: %q", short)
	}
	foreign := new(protocol.HistoryEvent)
	if err := proto.Unmarshal(b, foreign); err != nil {
		t.Fatal(err)
	}
	got := must(FromProto(foreign))
	if !got.DataRef.IsZero() || got.Call != 0 || got.Attempt != 0 || got.Terms != nil {
		t.Errorf("FromProto took over the extensions of a message: %+v", got)
	}
	if _, err := ToProto(&Event{Kind: TaskScheduled, Name: "a\xff"}); err == nil {
		t.Error("ToProto took text that is not UTF-8")
	}
}

// TestUnknownKind: an event of a newer protocol goes through unchanged.
func TestUnknownKind(t *testing.T) {
	body := []byte{8, 1}
	e := &Event{Kind: 77, ID: -1, Time: time.Unix(5, 0).UTC(), Raw: body}
	got := must(DecodeEvent(AppendEvent(nil, e)))
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Beside a known kind, before or after it, it is no kind but a field that we do not know.
	known := AppendEvent(nil, &Event{Kind: TaskScheduled, ID: 4, Name: "a"})
	unknown := protowire.AppendBytes(protowire.AppendTag(nil, 77, protowire.BytesType), body)
	for _, b := range [][]byte{slices.Concat(known, unknown), slices.Concat(unknown, known)} {
		if got := must(DecodeEvent(b)); got.Kind != TaskScheduled || got.Name != "a" || got.ID != 4 || got.Raw != nil {
			t.Errorf("known kind beside an unknown field decodes to %+v", got)
		}
	}
}

// TestLastKindWins is the rule of a oneof.
func TestLastKindWins(t *testing.T) {
	b := AppendEvent(nil, &Event{Kind: EventRaised, ID: -1, Name: "a", Data: Payload("x"), Call: 1, Terms: &Terms{Priority: 1}})
	b = AppendEvent(b, &Event{Kind: TaskCompleted, Answers: 2})
	want := &Event{Kind: TaskCompleted, ID: -1, Answers: 2, Call: 1, Terms: &Terms{Priority: 1}}
	if diff := cmp.Diff(want, must(DecodeEvent(b))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRows(t *testing.T) {
	var row []byte
	var want []*Event
	for i := range eventTypes().Len() {
		e := must(FromProto(fullEvent(eventTypes().Get(i))))
		want = append(want, e)
		row = AppendRow(row, e)
	}
	var got []*Event
	for e, err := range DecodeRows(row) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range DecodeRows(row) {
		break // a caller may stop
	}

	// Cut anywhere, a row gives whole events and then, unless the cut is between two, one error.
	ends := map[int]bool{0: true}
	for rest := row; len(rest) > 0; {
		_, n := protowire.ConsumeBytes(rest)
		rest = rest[n:]
		ends[len(row)-len(rest)] = true
	}
	for cut := range len(row) {
		failed := false
		for e, err := range DecodeRows(row[:cut]) {
			if failed {
				t.Fatalf("cut at %d: something follows the error", cut)
			}
			failed = err != nil
			if failed != (e == nil) {
				t.Fatalf("cut at %d: event %v with error %v", cut, e, err)
			}
		}
		if failed == ends[cut] {
			t.Fatalf("cut at %d: failed %t, but a boundary is there: %t", cut, failed, ends[cut])
		}
	}
}

func TestMalformed(t *testing.T) {
	bytesField := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	failure := []byte{}
	for range maxDepth {
		failure = bytesField(4, failure)
	}
	value := []byte{}
	for range maxDepth {
		value = bytesField(6, bytesField(1, value))
	}
	seconds := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), maxSeconds+1)
	for _, test := range []struct {
		name  string
		input []byte
		want  string
	}{
		{"empty", nil, "no kind"},
		{"no kind", []byte{8, 1}, "no kind"},
		{"field number 0", []byte{0, 0}, "invalid field number"},
		{"length beyond the end", []byte{50, 200, 1}, "unexpected EOF"},
		{"huge length", append([]byte{50}, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), "unexpected EOF"},
		{"truncated body", bytesField(6, []byte{10, 5, 'a'}), "TaskScheduled: unexpected EOF"},
		{"truncated StringValue", bytesField(6, bytesField(3, []byte{10, 5})), "TaskScheduled, field 3: unexpected EOF"},
		{"endless varint", bytes.Repeat([]byte{255}, 20), "variable length integer overflow"},
		{"year 10000", bytesField(12, bytesField(1, seconds)), "TimerCreated, field 1: time of 253402300800 s and 0 ns is out of range"},
		{"short reference", bytesField(1000, make([]byte, 31)), "payload reference of 31 bytes, not 32"},
		{"endless causes", bytesField(8, bytesField(2, failure)), "more than 64 failures"},
		{"deep property", bytesField(8, bytesField(2, bytesField(6, bytesField(2, value)))), "nested more than 64 deep"},
		{"end of a group that never began", []byte{12}, "end group"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := DecodeEvent(test.input)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v and error %v, want an error with %q", e, err, test.want)
			}
		})
	}
}

// TestNearest: what the wire cannot hold is written as the nearest that it can, and read back.
func TestNearest(t *testing.T) {
	deep := &Failure{Type: "end"}
	for range 100 {
		deep = &Failure{Type: "E", Cause: deep}
	}
	nested := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	e := &Event{Kind: TaskFailed, Failure: deep, Time: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}
	e.Failure.Properties = map[string]json.RawMessage{
		"none": nil, "broken": json.RawMessage(`{"a`), "huge": json.RawMessage(`1e999`), "nested": json.RawMessage(nested),
		"sorted": json.RawMessage(` {"b": [1.50, "<"], "a": 2} `),
	}
	got := must(DecodeEvent(AppendEvent(nil, e)))
	if !got.Time.Equal(time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)) {
		t.Errorf("the year 20000 came back as %s", got.Time)
	}
	depth := 0
	for f := got.Failure; f != nil; f = f.Cause {
		depth++
	}
	if depth != maxDepth {
		t.Errorf("%d failures came back, want %d", depth, maxDepth)
	}
	wantNested := strings.Repeat("[", maxDepth-1) + `"` + strings.Repeat("[", 100-maxDepth+1) + strings.Repeat("]", 100-maxDepth+1) + `"` + strings.Repeat("]", maxDepth-1)
	want := map[string]string{"none": `null`, "broken": `"{\"a"`, "huge": `"1e999"`, "nested": wantNested, "sorted": `{"a":2,"b":[1.5,"<"]}`}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if string(got.Failure.Properties[k]) != want[k] {
			t.Errorf("property %s: got %s, want %s", k, got.Failure.Properties[k], want[k])
		}
	}
	if _, err := DecodeEvent(AppendEvent(nil, &Event{Kind: 1000})); err == nil {
		t.Error("a kind in our own range was written and read")
	}
}

// TestSharesNothing: neither the input nor the buffer that an event was written to may change it.
func TestSharesNothing(t *testing.T) {
	for i := range eventTypes().Len() {
		b := must(proto.Marshal(fullEvent(eventTypes().Get(i))))
		e := must(DecodeEvent(b))
		want := must(DecodeEvent(bytes.Clone(b)))
		for j := range b {
			b[j] = '!'
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s shares memory with its input (-want +got):\n%s", e.Kind, diff)
		}
	}
}
