package history

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// eventTypes gives the members of HistoryEvent's oneof: one a kind.
func eventTypes() protoreflect.FieldDescriptors {
	return (*protocol.HistoryEvent)(nil).ProtoReflect().Descriptor().Oneofs().ByName("eventType").Fields()
}

// filler sets every field of a message to a value that occurs nowhere else in it, two elements in
// each list and map, and one level of a message inside itself.
type filler struct{ count int }

func (f *filler) fill(m protoreflect.Message, depth int) {
	if v, ok := m.Interface().(*structpb.Value); ok {
		f.count++
		proto.Merge(v, must(structpb.NewValue(map[string]any{
			"null": nil, "number": float64(f.count) + 0.5, "text": f.text(), "true": true, "false": false,
			"list": []any{f.text(), nil, map[string]any{}, []any{}}, "": "",
		})))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.ContainingOneof() != nil:
			continue // the test chooses
		case fd.Message() != nil && fd.Message().FullName() == m.Descriptor().FullName() && depth > 0:
			continue
		case fd.IsMap():
			entries := m.Mutable(fd).Map()
			for range 2 {
				v := entries.NewValue()
				if fd.MapValue().Message() != nil {
					f.fill(v.Message(), depth+1)
				} else {
					v = f.scalar(fd.MapValue())
				}
				entries.Set(protoreflect.ValueOfString(f.text()).MapKey(), v)
			}
		case fd.IsList():
			list := m.Mutable(fd).List()
			list.Append(f.scalar(fd))
			list.Append(f.scalar(fd))
		case fd.Message() != nil:
			f.fill(m.Mutable(fd).Message(), depth+1)
		default:
			m.Set(fd, f.scalar(fd))
		}
	}
}

func (f *filler) text() string {
	f.count++
	return fmt.Sprintf("text %d, größer", f.count)
}

func (f *filler) scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	f.count++
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(f.count))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1_700_000_000 + int64(f.count))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(1 + f.count%7))
	}
	panic("no value for " + fd.FullName())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fullEvent gives a HistoryEvent of one kind with every field set.
func fullEvent(kind protoreflect.FieldDescriptor) *protocol.HistoryEvent {
	m := new(protocol.HistoryEvent)
	f := new(filler)
	f.fill(m.ProtoReflect(), 0)
	f.fill(m.ProtoReflect().Mutable(kind).Message(), 0)
	return m
}
