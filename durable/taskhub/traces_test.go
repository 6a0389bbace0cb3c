package taskhub_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

var update = flag.Bool("update", false, "rewrite the traces in testdata/traces")

// trace records what crosses the connections of a hub, and what the hub stores after each step, as
// text that is the same in every run: in the time of a synctest bubble, where each step takes a
// second, and with names for what is random.
type trace struct {
	t     *testing.T
	conn  *grpc.ClientConn
	sdk   protocol.TaskHubSidecarServiceClient
	out   bytes.Buffer
	texts *texts

	mu      sync.Mutex
	arrived []*arrival           // work items that no step has shown yet
	held    []*protocol.WorkItem // shown, and not answered
	streams map[string]func()    // by worker: ends it
	pings   bool                 // shows also those after a worker's first

	states    map[string]string   // of instances and entities, as shown last
	histories map[string][]string // as shown last
}

// arrival is what a worker's stream gave: an item, or its end.
type arrival struct {
	worker string
	item   *protocol.WorkItem
	first  bool
	err    error
}

// traced compares what a script does with the trace of that name.
func traced(t *testing.T, name string, script func(*trace)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrace(t)
			script(tr)
			path := filepath.Join("testdata", "traces", name+".txt")
			if *update {
				if err := os.WriteFile(path, tr.out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := tr.out.String(); got != string(want) {
				t.Errorf("the trace differs from %s (-update rewrites it):\n%s", path, firstDifference(got, string(want)))
			}
			for worker := range tr.streams {
				tr.streams[worker]()
			}
			synctest.Wait()
		})
	})
}

// firstDifference shows where two texts part, with the lines before.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	at := 0
	for at < len(g) && at < len(w) && g[at] == w[at] {
		at++
	}
	part := func(lines []string) string {
		return strings.Join(lines[min(at, len(lines)):min(at+6, len(lines))], "\n")
	}
	return fmt.Sprintf("%s\ngot from line %d:\n%s\nwant:\n%s", strings.Join(g[max(0, at-6):at], "\n"), at+1, part(g), part(w))
}

func newTrace(t *testing.T) *trace {
	w := newWorkers(t, taskhub.WorkersOptions{})
	e, err := engine.Open(context.Background(), memory.New(), engine.Definitions{}, engine.Options{Logger: slog.New(slog.DiscardHandler), Workers: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	lis := bufconn.Listen(1 << 20)
	server := taskhub.ServeService(lis, &taskhub.Service{Hub: e, Workers: w})
	conn, err := grpc.NewClient("passthrough:hub", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := server.Close(); err != nil {
			t.Error("close the server:", err)
		}
	})
	return &trace{t: t, conn: conn, sdk: protocol.NewTaskHubSidecarServiceClient(conn), texts: newTexts(time.Now()),
		streams: map[string]func(){}, states: map[string]string{}, histories: map[string][]string{}}
}

func (tr *trace) printf(format string, args ...any) { fmt.Fprintf(&tr.out, format, args...) }

// say explains what comes next.
func (tr *trace) say(text string) { tr.printf("\n# %s\n", text) }

// methodOf gives the messages of one of the protocol's methods.
func methodOf(t testing.TB, name string) (in, out proto.Message) {
	t.Helper()
	d := protocol.File_orchestrator_service_proto.Services().ByName("TaskHubSidecarService").Methods().ByName(protoreflect.Name(name))
	if d == nil {
		t.Fatalf("there is no method %s", name)
	}
	message := func(d protoreflect.MessageDescriptor) proto.Message {
		m, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			t.Fatal(err)
		}
		return m.New().Interface()
	}
	return message(d.Input()), message(d.Output())
}

// call makes a unary call, whose request is written as prototext: there "@5" is the time of 5 s after
// the trace's beginning, and a name that the trace gave stands for what it names.
func (tr *trace) call(method, request string) {
	tr.t.Helper()
	in, _ := methodOf(tr.t, method)
	tr.parse(request, in)
	tr.send(method, in)
}

func (tr *trace) parse(text string, m proto.Message) {
	tr.t.Helper()
	if err := prototext.Unmarshal([]byte(tr.texts.real(text)), m); err != nil {
		tr.t.Fatalf("%s: %v", text, err)
	}
}

func (tr *trace) send(method string, in proto.Message) {
	tr.t.Helper()
	_, out := methodOf(tr.t, method)
	tr.printf("\n> %s\n%s", method, tr.texts.fields(in, "    "))
	if err := tr.conn.Invoke(tr.t.Context(), "/TaskHubSidecarService/"+method, in, out); err != nil {
		tr.printf("< %s %s\n", status.Code(err), tr.texts.names(status.Convert(err).Message()))
	} else {
		tr.printf("< %s\n%s", out.ProtoReflect().Descriptor().Name(), tr.texts.fields(out, "    "))
	}
	tr.settle()
}

// history streams an instance's history.
func (tr *trace) history(request string) {
	tr.t.Helper()
	in := &protocol.StreamInstanceHistoryRequest{}
	tr.parse(request, in)
	tr.printf("\n> StreamInstanceHistory\n%s", tr.texts.fields(in, "    "))
	stream, err := tr.sdk.StreamInstanceHistory(tr.t.Context(), in)
	if err != nil {
		tr.t.Fatal(err)
	}
	for {
		chunk, err := stream.Recv()
		if err == io.EOF {
			tr.printf("< the end\n")
			break
		}
		if err != nil {
			tr.printf("< %s %s\n", status.Code(err), tr.texts.names(status.Convert(err).Message()))
			break
		}
		tr.printf("< HistoryChunk\n%s", tr.texts.fields(chunk, "    "))
	}
	tr.settle()
}

// work connects a worker.
func (tr *trace) work(name, request string) {
	tr.t.Helper()
	in := &protocol.GetWorkItemsRequest{}
	tr.parse(request, in)
	tr.printf("\n> GetWorkItems, worker %s\n%s", name, tr.texts.fields(in, "    "))
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := tr.sdk.GetWorkItems(ctx, in)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.streams[name] = cancel
	go func() {
		for first := true; ; first = false {
			item, err := stream.Recv()
			tr.mu.Lock()
			tr.arrived = append(tr.arrived, &arrival{name, item, first, err})
			tr.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	tr.settle()
}

// lose ends a worker's connection.
func (tr *trace) lose(name string) {
	tr.printf("\n> the connection of worker %s ends\n", name)
	tr.streams[name]()
	tr.settle()
}

// wait lets time pass.
func (tr *trace) wait(d time.Duration) {
	tr.printf("\n> %s pass\n", d)
	<-time.After(d - time.Second)
	tr.settle()
}

// settle waits until nothing happens any more, and shows what has.
func (tr *trace) settle() {
	tr.t.Helper()
	<-time.After(time.Second)
	synctest.Wait()
	tr.mu.Lock()
	arrived := tr.arrived
	tr.arrived = nil
	tr.mu.Unlock()
	slices.SortStableFunc(arrived, func(a, b *arrival) int {
		return cmp.Or(cmp.Compare(a.worker, b.worker), cmp.Compare(orderOf(a.item), orderOf(b.item)))
	})
	for _, a := range arrived {
		if a.err != nil {
			tr.printf("< worker %s: %s\n", a.worker, status.Code(a.err))
			continue
		}
		// A later ping may come or not at the moment at which there is something else to send.
		if ping := a.item.GetHealthPing() != nil; !ping {
			tr.held = append(tr.held, a.item)
		} else if !a.first && !tr.pings {
			continue
		}
		tr.printf("< worker %s: %s", a.worker, tr.texts.item(a.item))
	}
	tr.stored()
}

// orderOf puts items that come at the same time into an order.
func orderOf(m *protocol.WorkItem) string {
	a := m.GetActivityRequest()
	return fmt.Sprintf("%s/%s/%s/%08d", m.GetOrchestratorRequest().GetInstanceId(), m.GetEntityRequestV2().GetInstanceId(), a.GetOrchestrationInstance().GetInstanceId(), a.GetTaskId())
}

// take gives the item that a worker has for an instance, an activity of some name, or an entity.
func (tr *trace) take(of string) *protocol.WorkItem {
	tr.t.Helper()
	of = tr.texts.real(of)
	for i, item := range tr.held {
		r := item.GetOrchestratorRequest()
		if r.GetInstanceId() == of || item.GetActivityRequest().GetName() == of || item.GetEntityRequestV2().GetInstanceId() == of {
			tr.held = slices.Delete(tr.held, i, i+1)
			return item
		}
	}
	tr.t.Fatalf("no worker has an item for %s; the trace is\n%s", of, tr.out.String())
	return nil
}

// turn answers an orchestration's item.
func (tr *trace) turn(id, response string) {
	tr.t.Helper()
	m := &protocol.OrchestratorResponse{}
	tr.parse(response, m)
	m.InstanceId, m.CompletionToken = tr.texts.real(id), tr.take(id).CompletionToken
	tr.send("CompleteOrchestratorTask", m)
}

// end answers an orchestration's item with its completion.
func (tr *trace) end(id, number, result string) {
	tr.t.Helper()
	tr.turn(id, `actions:{id:`+number+` completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED result:{value:"`+result+`"}}}`)
}

// did answers an activity's item.
func (tr *trace) did(name, response string) {
	tr.t.Helper()
	m := &protocol.ActivityResponse{}
	tr.parse(response, m)
	item := tr.take(name)
	m.InstanceId, m.TaskId, m.CompletionToken = item.GetActivityRequest().GetOrchestrationInstance().GetInstanceId(), item.GetActivityRequest().GetTaskId(), item.CompletionToken
	tr.send("CompleteActivityTask", m)
}

// batch answers an entity's item.
func (tr *trace) batch(id, response string) {
	tr.t.Helper()
	m := &protocol.EntityBatchResult{}
	tr.parse(response, m)
	m.CompletionToken = tr.take(id).CompletionToken
	tr.send("CompleteEntityTask", m)
}

// stored shows what has changed in the hub.
func (tr *trace) stored() {
	tr.t.Helper()
	list, err := tr.sdk.QueryInstances(tr.t.Context(), &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{FetchInputsAndOutputs: true}})
	if err != nil {
		tr.t.Fatal(err)
	}
	gone := map[string]bool{}
	for key := range tr.states {
		gone[key] = true
	}
	show := func(id string, m proto.Message) {
		delete(gone, id)
		if text := tr.texts.fields(m, "    "); tr.states[id] != text {
			tr.states[id] = text
			tr.printf("= %s\n%s", tr.texts.names(id), text)
		}
	}
	states := list.OrchestrationState
	slices.SortFunc(states, func(a, b *protocol.OrchestrationState) int {
		return cmp.Or(a.CreatedTimestamp.AsTime().Compare(b.CreatedTimestamp.AsTime()), cmp.Compare(a.InstanceId, b.InstanceId))
	})
	for _, s := range states {
		show(s.InstanceId, s)
		tr.storedHistory(s.InstanceId)
	}
	query := &protocol.EntityQuery{IncludeState: true, IncludeTransient: true}
	entities, err := tr.sdk.QueryEntities(tr.t.Context(), &protocol.QueryEntitiesRequest{Query: query})
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, e := range entities.Entities {
		show(e.InstanceId, e)
	}
	for id := range gone {
		delete(tr.states, id)
		delete(tr.histories, id)
	}
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range gone {
			if !yield(id) {
				return
			}
		}
	}) {
		tr.printf("= %s is gone\n", tr.texts.names(id))
	}
}

// storedHistory shows what has come to an instance's history, or all of it if it has been replaced.
func (tr *trace) storedHistory(id string) {
	tr.t.Helper()
	stream, err := tr.sdk.StreamInstanceHistory(tr.t.Context(), &protocol.StreamInstanceHistoryRequest{InstanceId: id})
	if err != nil {
		tr.t.Fatal(err)
	}
	var lines []string
	for chunk, err := stream.Recv(); err == nil; chunk, err = stream.Recv() {
		for _, ev := range chunk.Events {
			lines = append(lines, tr.texts.value(ev.ProtoReflect()))
		}
	}
	before := tr.histories[id]
	tr.histories[id] = lines
	from := len(before)
	if len(lines) < from || !slices.Equal(before, lines[:from]) {
		tr.printf("= history of %s, replaced\n", tr.texts.names(id))
		from = 0
	} else if from < len(lines) {
		tr.printf("= history of %s\n", tr.texts.names(id))
	}
	for i, line := range lines[from:] {
		tr.printf("    %2d %s\n", from+i+1, line)
	}
}
