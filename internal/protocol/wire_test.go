package protocol

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// facts is the description of the public protocol that the .proto was written from, kept beside the
// project: a line for each method, enum and message.
var facts = filepath.Join("..", "..", "..", "shared", "protocol", "WIRE.md")

var (
	methodLine = regexp.MustCompile(`^\| (\w+) \| (\w+) \| (?:(stream) )?(\w+) \|$`)
	typeLine   = regexp.MustCompile(`^- \*\*(\w+)\*\*: (.*)$`)
	enumBody   = regexp.MustCompile(`^[A-Z_]+=0`)
)

// TestWire compares the generated descriptors with the facts, both ways: every message, field,
// number, type, oneof, enum and method, and nothing else.
func TestWire(t *testing.T) {
	text, err := os.ReadFile(facts)
	if err != nil {
		t.Skip("skipped: the description of the protocol is not here:", err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := methodLine.FindStringSubmatch(line); m != nil && m[1] != "method" {
			want = append(want, strings.TrimSpace(fmt.Sprintf("method %s(%s) %s %s", m[1], m[2], m[4], m[3])))
		}
		m := typeLine.FindStringSubmatch(line)
		switch {
		case m == nil:
		case enumBody.MatchString(m[2]):
			for value := range strings.SplitSeq(m[2], ", ") {
				want = append(want, "enum "+m[1]+": "+value)
			}
		default:
			want = append(want, "message "+m[1])
			if m[2] != "(no fields)" {
				// A comma is also inside map<string, string>.
				for field := range strings.SplitSeq(strings.ReplaceAll(m[2], "map<string, ", "map<string,"), ", ") {
					want = append(want, "message "+m[1]+": "+field)
				}
			}
		}
	}
	got := describe(File_orchestrator_service_proto)
	if len(want) < 500 {
		t.Errorf("%s has only %d facts: it is not what this test can read", facts, len(want))
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not in the protocol: %s", line)
		}
	}
	messages, enums := File_orchestrator_service_proto.Messages().Len(), File_orchestrator_service_proto.Enums().Len()
	if messages != 118 || enums != 2 {
		t.Errorf("%d messages and %d enums, want 118 and 2", messages, enums)
	}
}

// TestServicePath is what every SDK calls.
func TestServicePath(t *testing.T) {
	if got := TaskHubSidecarService_GetWorkItems_FullMethodName; got != "/TaskHubSidecarService/GetWorkItems" {
		t.Errorf("the method's path is %s", got)
	}
	if got := len(TaskHubSidecarService_ServiceDesc.Methods) + len(TaskHubSidecarService_ServiceDesc.Streams); got != 29 {
		t.Errorf("the service has %d methods, want 29", got)
	}
}

// describe writes a file's descriptors as the lines of the facts.
func describe(file protoreflect.FileDescriptor) (lines []string) {
	methods := file.Services().ByName("TaskHubSidecarService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		line := fmt.Sprintf("method %s(%s) %s", m.Name(), m.Input().Name(), m.Output().Name())
		if m.IsStreamingServer() {
			line += " stream"
		}
		if m.IsStreamingClient() {
			line += " client stream"
		}
		lines = append(lines, line)
	}
	for i := range file.Enums().Len() {
		enum := file.Enums().Get(i)
		for j := range enum.Values().Len() {
			v := enum.Values().Get(j)
			lines = append(lines, fmt.Sprintf("enum %s: %s=%d", enum.Name(), v.Name(), v.Number()))
		}
	}
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		lines = append(lines, fmt.Sprintf("message %s", m.Name()))
		for j := range m.Fields().Len() {
			lines = append(lines, fmt.Sprintf("message %s: %s", m.Name(), fieldLine(m.Fields().Get(j))))
		}
	}
	return lines
}

func fieldLine(f protoreflect.FieldDescriptor) string {
	line := fmt.Sprintf("%d %s: ", f.Number(), f.Name())
	switch {
	case f.IsMap():
		line += fmt.Sprintf("map<%s,%s>", typeName(f.MapKey()), typeName(f.MapValue()))
	case f.IsList():
		line += "repeated " + typeName(f)
	default:
		line += typeName(f)
	}
	if options, ok := f.Options().(*descriptorpb.FieldOptions); ok && options.GetDeprecated() {
		line += " (d)"
	}
	if o := f.ContainingOneof(); o != nil {
		line += " |" + string(o.Name())
	}
	return line
}

// typeName gives a type as the facts do: without the package of the well-known ones.
func typeName(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().Name())
	case f.Enum() != nil:
		return string(f.Enum().Name())
	default:
		return f.Kind().String()
	}
}
