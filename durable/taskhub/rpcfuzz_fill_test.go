package taskhub_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// filler makes messages as the input describes them, of values that mean something where they are:
// ids that exist and ids that cannot, tokens that count and such that do not.
type filler struct {
	in     *bytesOf
	abuse  *abuse
	method string
}

// maxDepth is how deep messages lie in each other.
const maxDepth = 6

func (f *filler) fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := 0; i < fields.Len(); i++ {
		d := fields.Get(i)
		if one := d.ContainingOneof(); one != nil && !one.IsSynthetic() {
			if i > 0 && one.Fields().Get(0) != d { // one of them, where the first is
				continue
			}
			d = one.Fields().Get(f.in.below(one.Fields().Len()))
		} else if f.in.next()%8 == 0 && d.JSONName() != "completionToken" {
			continue
		}
		f.field(m, d, depth)
	}
}

func (f *filler) field(m protoreflect.Message, d protoreflect.FieldDescriptor, depth int) {
	message := d.Kind() == protoreflect.MessageKind
	if message && depth == maxDepth {
		return
	}
	switch {
	case d.IsMap():
		if d.MapValue().Kind() == protoreflect.StringKind {
			for range f.in.below(3) {
				m.Mutable(d).Map().Set(protoreflect.ValueOfString(f.text("key")).MapKey(), protoreflect.ValueOfString(f.text("value")))
			}
		}
	case d.IsList() && message:
		for range f.in.below(4) {
			f.message(m.Mutable(d).List().AppendMutable().Message(), d.JSONName(), depth)
		}
	case d.IsList():
		for range f.in.below(4) {
			m.Mutable(d).List().Append(f.scalar(d))
		}
	case message:
		f.message(m.Mutable(d).Message(), d.JSONName(), depth)
	default:
		m.Set(d, f.scalar(d))
	}
}

func (f *filler) message(m protoreflect.Message, name string, depth int) {
	switch v := m.Interface().(type) {
	case *wrapperspb.StringValue:
		v.Value = f.text(name)
	case *timestamppb.Timestamp:
		switch how := f.in.next(); {
		case how < 200:
			v.Seconds = time.Now().Unix() + int64(how) - 50
		case how < 220:
			v.Seconds, v.Nanos = f.in.number(), int32(f.in.number())
		}
	default:
		f.fill(m, depth+1)
	}
}

func (f *filler) scalar(d protoreflect.FieldDescriptor) protoreflect.Value {
	switch d.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text(d.JSONName()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(f.in.next()%2 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(f.in.below(12)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(f.in.number()))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(f.in.number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.Float64frombits(uint64(f.in.number())))
	}
	return d.Default()
}

// text gives what a field of the name may have, and what it may not.
func (f *filler) text(name string) string {
	switch name {
	case "completionToken":
		return f.abuse.token(f.method)
	case "instanceId", "instanceIds", "lockSet", "targetInstanceId", "parentInstanceId":
		orchestrations := []string{"a", "b", "c"}
		entities := []string{"@count@k", "@Count@l", "@other@k"}
		first, second := orchestrations, entities
		if name == "lockSet" || name == "targetInstanceId" || strings.Contains(f.method, "Entity") {
			first, second = entities, orchestrations
		}
		switch how := f.in.next(); {
		case how < 180:
			return first[int(how)%len(first)]
		case how < 220:
			return second[int(how)%len(second)]
		}
		return f.in.pick("", "@", "@@", "@count@", "@count", "a\x00b", "é", strings.Repeat("i", 101), strings.Repeat("i", 100), "honest2")
	case "name", "operation":
		return f.in.pick("one", "two", "act", "count", "ONE", "", strings.Repeat("n", 1000), "\x00")
	case "requestId", "criticalSectionId":
		return f.in.pick("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "", "r", strings.Repeat("r", 1000))
	case "continuationToken", "lastInstanceKey":
		return f.in.pick("", "x", "e76xfr7zz1kao.b", ".", "\xc3\xa9")
	}
	return f.in.pick("", "1", `"text"`, "null", strings.Repeat("x", 5000), "\u2028\x00")
}

// FuzzRPC has every method of the protocol called with messages of any kind in any order, while
// workers come, go and answer what they like: nothing panics, statuses are those that are documented,
// and whoever is honest is served afterwards.
func FuzzRPC(f *testing.F) {
	methods := protocol.File_orchestrator_service_proto.Services().ByName("TaskHubSidecarService").Methods()
	number := map[string]byte{}
	for i := range methods.Len() {
		number[string(methods.Get(i).Name())] = byte(i)
		// Each alone: of nothing, of bytes that are no message, and full.
		f.Add([]byte{byte(i)})
		f.Add([]byte{byte(i), 0, 3, 0xff, 0xff, 0xff})
		f.Add(append([]byte{byte(i)}, bytes.Repeat([]byte{1}, 100)...))
	}
	// A life: a worker, an instance, answers of each kind, in many variants.
	for v := range byte(40) {
		var life []byte
		for i, name := range []string{"GetWorkItems", "StartInstance", "SignalEntity", "CompleteOrchestratorTask", "CompleteActivityTask", "CompleteEntityTask",
			"RaiseEvent", "CompleteOrchestratorTask", "SuspendInstance", "AbandonTaskOrchestratorWorkItem", "TerminateInstance", "RewindInstance", "RestartInstance",
			"CompleteOrchestratorTask", "PurgeInstances"} {
			life = append(life, number[name], 1)
			for j := range byte(30) {
				life = append(life, v*j*7+byte(i)*3+j*v%5)
			}
		}
		f.Add(life)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1<<13 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			a := newAbuse(t, input)
			a.run()
			a.after()
			a.faults.check(t)
		})
	})
}
