package taskhub_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// texts writes messages as text that is the same in every run. What is random has a name in it, by
// the order in which it appears; times count from the beginning.
type texts struct {
	begin time.Time
	named map[string]string // by what is random
	reals map[string]string // by name
	count map[string]int    // of names of a kind
}

func newTexts(begin time.Time) *texts {
	return &texts{begin: begin, named: map[string]string{}, reals: map[string]string{}, count: map[string]int{}}
}

var (
	uuids = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	// randoms are UUIDs, ids of 32 hexadecimal digits that are not of a trace, and completion tokens.
	randoms = regexp.MustCompile(`\b(?:00-)?(` + uuids + `|[0-9a-f]{32}|[A-Z2-7]{26})\b`)
	names   = regexp.MustCompile(`\b(uuid|id|token)#\d+`)
	moments = regexp.MustCompile(`@(\d+)\b`)
)

// names replaces what is random.
func (x *texts) names(s string) string {
	return randoms.ReplaceAllStringFunc(s, func(random string) string {
		if strings.HasPrefix(random, "00-") {
			return random
		}
		name, ok := x.named[random]
		if !ok {
			kind := map[int]string{36: "uuid", 32: "id", 26: "token"}[len(random)]
			x.count[kind]++
			name = fmt.Sprintf("%s#%d", kind, x.count[kind])
			x.named[random], x.reals[name] = name, random
		}
		return name
	})
}

// real is the inverse of names for prototext, in which also "@5" is a time.
func (x *texts) real(s string) string {
	s = names.ReplaceAllStringFunc(s, func(name string) string { return x.reals[name] })
	return moments.ReplaceAllStringFunc(s, func(at string) string {
		n, _ := strconv.ParseInt(at[1:], 10, 64)
		return fmt.Sprintf("{seconds:%d}", x.begin.Unix()+n)
	})
}

// item writes a work item.
func (x *texts) item(m *protocol.WorkItem) string {
	d := m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().ByName("request"))
	s := d.JSONName()
	if m.CompletionToken != "" {
		s += " " + x.names(m.CompletionToken)
	}
	return s + "\n" + x.fields(m.ProtoReflect().Get(d).Message().Interface(), "    ")
}

// fields writes a message, a line for each field, or for each element of one.
func (x *texts) fields(m proto.Message, indent string) string {
	var s strings.Builder
	x.each(m.ProtoReflect(), func(d protoreflect.FieldDescriptor, v protoreflect.Value) {
		if !d.IsList() {
			fmt.Fprintf(&s, "%s%s: %s\n", indent, d.JSONName(), x.field(d, v))
			return
		}
		fmt.Fprintf(&s, "%s%s:\n", indent, d.JSONName())
		for i := range v.List().Len() {
			fmt.Fprintf(&s, "%s    %s\n", indent, x.scalar(d, v.List().Get(i)))
		}
	})
	return s.String()
}

// each goes over the fields that are set, by their numbers.
func (x *texts) each(m protoreflect.Message, f func(protoreflect.FieldDescriptor, protoreflect.Value)) {
	var list []protoreflect.FieldDescriptor
	m.Range(func(d protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		list = append(list, d)
		return true
	})
	if d := m.Descriptor().Fields().ByName("orchestrationStatus"); d != nil && !m.Has(d) {
		list = append(list, d) // whose zero is RUNNING
	}
	slices.SortFunc(list, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	for _, d := range list {
		f(d, m.Get(d))
	}
	if n := len(m.GetUnknown()); n > 0 {
		panic(fmt.Sprintf("%s has %d bytes of unknown fields", m.Descriptor().Name(), n))
	}
}

func (x *texts) field(d protoreflect.FieldDescriptor, v protoreflect.Value) string {
	var list []string
	switch {
	case d.IsMap():
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			list = append(list, k.String()+": "+x.scalar(d.MapValue(), v))
			return true
		})
		slices.Sort(list)
		return "{" + strings.Join(list, ", ") + "}"
	case d.IsList():
		for i := range v.List().Len() {
			list = append(list, x.scalar(d, v.List().Get(i)))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return x.scalar(d, v)
}

func (x *texts) scalar(d protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch d.Kind() {
	case protoreflect.MessageKind:
		return x.value(v.Message())
	case protoreflect.StringKind:
		return x.quote(v.String())
	case protoreflect.EnumKind:
		name := string(d.Enum().Values().ByNumber(v.Enum()).Name())
		return strings.TrimPrefix(strings.TrimPrefix(name, "ORCHESTRATION_STATUS_"), "WORKER_CAPABILITY_")
	}
	return v.String()
}

// quote writes a text, and a long one in short.
func (x *texts) quote(s string) string {
	const shown = 200
	if len(s) > shown {
		return fmt.Sprintf("%q and %d bytes more", s[:20], len(s)-20)
	}
	return strconv.Quote(x.names(s))
}

// value writes a message in one line.
func (x *texts) value(m protoreflect.Message) string {
	switch v := m.Interface().(type) {
	case *wrapperspb.StringValue:
		return x.quote(v.Value)
	case *wrapperspb.Int32Value:
		return strconv.Itoa(int(v.Value))
	case *wrapperspb.BoolValue:
		return strconv.FormatBool(v.Value)
	case *timestamppb.Timestamp:
		if v.Seconds == 0 && v.Nanos == 0 {
			return "the epoch"
		}
		if v.AsTime().Before(x.begin) {
			return v.AsTime().Format(time.RFC3339)
		}
		return "+" + v.AsTime().Sub(x.begin).String()
	case *durationpb.Duration:
		return v.AsDuration().String()
	case *structpb.Value:
		b, err := json.Marshal(v.AsInterface())
		if err != nil {
			panic(err)
		}
		return string(b)
	case *protocol.HistoryEvent:
		return x.event(v)
	}
	var list []string
	x.each(m, func(d protoreflect.FieldDescriptor, v protoreflect.Value) {
		list = append(list, d.JSONName()+": "+x.field(d, v))
	})
	return "{" + strings.Join(list, ", ") + "}"
}

// event writes an event with its kind first, its number and its time.
func (x *texts) event(m *protocol.HistoryEvent) string {
	r := m.ProtoReflect()
	s := "no kind"
	d := r.WhichOneof(r.Descriptor().Oneofs().ByName("eventType"))
	if d != nil {
		s = d.JSONName()
	}
	s += fmt.Sprintf(" %d", m.EventId)
	if m.Timestamp != nil {
		s += " " + x.value(m.Timestamp.ProtoReflect())
	}
	if d != nil {
		if text := x.value(r.Get(d).Message()); text != "{}" {
			s += " " + text
		}
	}
	return s
}
