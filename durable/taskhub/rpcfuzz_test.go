package taskhub_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// abuse is a hub with clients and workers that call whatever the input says.
type abuse struct {
	t       testing.TB
	conn    *grpc.ClientConn
	sdk     protocol.TaskHubSidecarServiceClient
	workers *taskhub.Workers
	faults  *faults
	in      *bytesOf

	mu      sync.Mutex
	tokens  []string            // of all items that came, by whichever stream
	latest  map[string][]string // by the method that answers them
	streams []func()
	running sync.WaitGroup
}

// faults collects what the server logs as an error, a panic of a call among it.
type faults struct {
	mu   sync.Mutex
	list []string
}

func (f *faults) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (f *faults) WithAttrs([]slog.Attr) slog.Handler           { return f }
func (f *faults) WithGroup(string) slog.Handler                { return f }
func (f *faults) Handle(_ context.Context, r slog.Record) error {
	s := r.Message
	r.Attrs(func(a slog.Attr) bool {
		s += fmt.Sprintf("\n%s: %v", a.Key, a.Value)
		return true
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, s)
	return nil
}

// check fails the test if there has been a fault.
func (f *faults) check(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.list {
		t.Error("the server logs: " + s)
	}
}

func newAbuse(t *testing.T, input []byte) *abuse {
	f := &faults{}
	w := newWorkers(t, taskhub.WorkersOptions{MaxResponse: 1 << 20, Logger: slog.New(f)})
	e, err := engine.Open(context.Background(), memory.New(), engine.Definitions{}, engine.Options{Logger: slog.New(f), Workers: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	lis := bufconn.Listen(1 << 20)
	server := taskhub.ServeServiceWith(lis, &taskhub.Service{Hub: e, Workers: w}, taskhub.ServerOptions{Logger: slog.New(f)})
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
	return &abuse{t: t, conn: conn, sdk: protocol.NewTaskHubSidecarServiceClient(conn), workers: w, faults: f,
		in: &bytesOf{input}, latest: map[string][]string{}}
}

// rawCodec sends bytes as they are, so that also what is no message comes to the server.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = b
	return nil
}

// maxCalls and maxStreams bound what one input does.
const (
	maxCalls   = 60
	maxStreams = 4
)

// often are the methods that every other call is of: most of the state of a hub is made by them.
var often = []string{"StartInstance", "CompleteOrchestratorTask", "CompleteOrchestratorTask", "CompleteOrchestratorTask", "CompleteActivityTask",
	"CompleteEntityTask", "CompleteEntityTask", "RaiseEvent", "SignalEntity", "TerminateInstance", "GetWorkItems"}

// run makes calls until the input ends.
func (a *abuse) run() {
	methods := protocol.File_orchestrator_service_proto.Services().ByName("TaskHubSidecarService").Methods()
	for range maxCalls {
		if a.in.empty() {
			return
		}
		which := int(a.in.next())
		switch which -= methods.Len(); {
		case which == 0:
			<-time.After(time.Duration(a.in.next()) * time.Second)
		case which >= 99:
			a.call(often[which%len(often)])
		case which == 1 && len(a.streams) > 0:
			i := a.in.below(len(a.streams))
			a.streams[i]()
			a.streams = slices.Delete(a.streams, i, i+1)
		default:
			a.call(string(methods.Get((which + methods.Len()) % methods.Len()).Name()))
		}
		synctest.Wait()
	}
}

// call makes one call, with a message that the input has whole or describes.
func (a *abuse) call(method string) {
	in, _ := methodOf(a.t, method)
	broken := false
	var request []byte
	if how := a.in.next(); how%16 == 0 {
		request = a.in.take(int(a.in.next()))
		broken = proto.Unmarshal(request, in) != nil
	} else {
		(&filler{in: a.in, abuse: a, method: method}).fill(in.ProtoReflect(), 0)
		var err error
		if request, err = proto.Marshal(in); err != nil {
			a.t.Fatal(err)
		}
	}
	ctx := context.Background()
	if a.in.next() > 240 {
		ctx = metadata.AppendToOutgoingContext(ctx, "taskhub", a.in.pick("", "default", "no name", strings.Repeat("h", 100)), "workerid", a.in.pick("", strings.Repeat("w", 1000)))
	}
	switch method {
	case "GetWorkItems", "StreamInstanceHistory":
		a.stream(ctx, method, request, broken)
	default:
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var out []byte
		err := a.conn.Invoke(ctx, "/TaskHubSidecarService/"+method, request, &out, grpc.ForceCodec(rawCodec{}))
		a.judge(method, err, broken)
	}
}

// stream reads a stream in the background, to its end or until the input closes it.
func (a *abuse) stream(ctx context.Context, method string, request []byte, broken bool) {
	if method == "GetWorkItems" && len(a.streams) == maxStreams {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s, err := a.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/TaskHubSidecarService/"+method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := s.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		a.t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		a.t.Fatal(err)
	}
	a.running.Go(func() {
		for {
			var b []byte
			if err := s.RecvMsg(&b); err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil {
					a.judge(method, err, broken)
				}
				return
			}
			item := &protocol.WorkItem{}
			if method == "GetWorkItems" && proto.Unmarshal(b, item) == nil && item.CompletionToken != "" {
				a.remember(item)
			}
		}
	})
	if method == "GetWorkItems" {
		a.streams = append(a.streams, cancel)
		return
	}
	synctest.Wait()
	cancel()
}

func (a *abuse) remember(item *protocol.WorkItem) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = append(a.tokens, item.CompletionToken)
	methods := []string{"CompleteOrchestratorTask", "AbandonTaskOrchestratorWorkItem"}
	switch {
	case item.GetActivityRequest() != nil:
		methods = []string{"CompleteActivityTask", "AbandonTaskActivityWorkItem"}
	case item.GetEntityRequestV2() != nil:
		methods = []string{"CompleteEntityTask", "AbandonTaskEntityWorkItem"}
	}
	for _, m := range methods {
		a.latest[m] = append(a.latest[m], item.CompletionToken)
	}
}

// token gives one of an item that is to be answered by the method, an older or another one, or none.
func (a *abuse) token(method string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.latest[method]
	switch how := a.in.next(); {
	case how%16 == 0:
		return ""
	case how%16 == 1:
		return "nonsense"
	case how%16 == 2 && len(a.tokens) > 0:
		list = a.tokens
	}
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1-a.in.below(min(len(list), 4))]
}

// judge wants a status that the method may have.
func (a *abuse) judge(method string, err error, broken bool) {
	code := status.Code(err)
	switch code {
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.ResourceExhausted:
		return
	case codes.Internal:
		if broken && strings.Contains(status.Convert(err).Message(), "unmarshal") {
			return
		}
	case codes.Unimplemented:
		if strings.HasSuffix(method, "TaskHub") {
			return
		}
	case codes.DeadlineExceeded, codes.Canceled:
		if strings.HasPrefix(method, "WaitFor") {
			return
		}
	}
	a.t.Errorf("%s: %v", method, err)
}

// after wants an honest client and an honest worker to be served as if nothing had been.
func (a *abuse) after() {
	for _, end := range a.streams {
		end()
	}
	a.running.Wait()
	synctest.Wait()
	if tokens, orphans, _, partial := a.workers.Remembered(); tokens != orphans || partial != 0 {
		a.t.Errorf("without workers there are %d tokens, %d of them of lost work, and %d bytes of answers", tokens, orphans, partial)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if _, err := a.sdk.StartInstance(ctx, &protocol.CreateInstanceRequest{InstanceId: "honest", Name: "honest"}); err != nil {
		a.t.Fatal("an honest start:", err)
	}
	work, end := context.WithCancel(context.Background())
	stream, err := a.sdk.GetWorkItems(work, &protocol.GetWorkItemsRequest{})
	if err != nil {
		a.t.Fatal(err)
	}
	a.running.Go(func() {
		for {
			item, err := stream.Recv()
			if err != nil {
				return
			}
			if err := a.answer(ctx, item); err != nil {
				a.t.Error("an honest answer:", err)
			}
		}
	})
	r, err := a.sdk.WaitForInstanceCompletion(ctx, &protocol.GetInstanceRequest{InstanceId: "honest", GetInputsAndOutputs: true})
	if err != nil || r.GetOrchestrationState().GetOutput().GetValue() != "done" {
		a.t.Errorf("an honest orchestration is %v, %v", r, err)
	}
	<-time.After(time.Minute) // what was given back several times has a delay
	synctest.Wait()
	end()
	a.running.Wait()
	synctest.Wait()
	if tokens, orphans, _, partial := a.workers.Remembered(); tokens+orphans+partial != 0 {
		a.t.Errorf("at the end there are %d tokens, %d of lost work, %d bytes of answers", tokens, orphans, partial)
	}
	a.histories()
}

// answer does what an item asks for: the honest orchestration runs an activity, all others end.
func (a *abuse) answer(ctx context.Context, item *protocol.WorkItem) (err error) {
	switch {
	case item.GetOrchestratorRequest() != nil:
		r := item.GetOrchestratorRequest()
		m := &protocol.OrchestratorResponse{InstanceId: r.InstanceId, CompletionToken: item.CompletionToken}
		if r.InstanceId == "honest" && len(r.PastEvents) == 0 {
			m.Actions = append(m.Actions, schedule(0, "honest"))
		} else {
			m.Actions = append(m.Actions, end(-1, "done"))
		}
		_, err = a.sdk.CompleteOrchestratorTask(ctx, m)
	case item.GetActivityRequest() != nil:
		_, err = a.sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: item.CompletionToken, Result: wrapperspb.String("1")})
	case item.GetEntityRequestV2() != nil:
		_, err = a.sdk.CompleteEntityTask(ctx, results(item, "state", len(item.GetEntityRequestV2().OperationRequests)))
	}
	return err
}

// histories wants every history to be whole.
func (a *abuse) histories() {
	list, err := a.sdk.QueryInstances(context.Background(), &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{MaxInstanceCount: 1000}})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, s := range list.OrchestrationState {
		stream, err := a.sdk.StreamInstanceHistory(context.Background(), &protocol.StreamInstanceHistoryRequest{InstanceId: s.InstanceId})
		if err != nil {
			a.t.Fatal(err)
		}
		n := 0
		for chunk, err := stream.Recv(); !errors.Is(err, io.EOF); chunk, err = stream.Recv() {
			if err != nil {
				a.t.Fatalf("the history of %q: %v", s.InstanceId, err)
			}
			for _, ev := range chunk.Events {
				if n++; ev.Timestamp == nil || ev.EventType == nil || n == 1 && ev.GetOrchestratorStarted() == nil {
					a.t.Errorf("%q: event %d is %v", s.InstanceId, n, ev)
				}
				if ev.EventId < -1 { // that they rise is what a worker has to see to
					a.t.Errorf("%q: event %d has the id %d", s.InstanceId, n, ev.EventId)
				}
			}
		}
	}
}

// bytesOf is an input of which one part after the other is used; at its end there are zeros.
type bytesOf struct{ rest []byte }

func (b *bytesOf) empty() bool { return len(b.rest) == 0 }

func (b *bytesOf) next() byte {
	part := b.take(1)
	if len(part) == 0 {
		return 0
	}
	return part[0]
}

func (b *bytesOf) take(n int) []byte {
	part := b.rest[:min(n, len(b.rest))]
	b.rest = b.rest[len(part):]
	return part
}

func (b *bytesOf) below(n int) int { return int(b.next()) % n }

func (b *bytesOf) pick(list ...string) string { return list[b.below(len(list))] }

// number gives a small number, mostly, or one at the edges.
func (b *bytesOf) number() int64 {
	switch how := b.next(); {
	case how < 200:
		return int64(how % 8)
	case how < 220:
		return int64(int8(b.next()))
	case how < 230:
		return math.MaxInt32
	case how < 240:
		return math.MinInt32
	default:
		var eight [8]byte
		copy(eight[:], b.take(8))
		return int64(binary.LittleEndian.Uint64(eight[:]))
	}
}
