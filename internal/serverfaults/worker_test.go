//go:build linux || darwin

package serverfaults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// workerEnv makes the test binary a worker: its name and the address of the server, with a blank between.
const workerEnv = "AGENTRUN_FAULTS_WORKER"

// TestMain makes the test binary a worker where the driver wants one.
func TestMain(m *testing.M) {
	order := os.Getenv(workerEnv)
	if order == "" {
		code := m.Run()
		if built.dir != "" {
			_ = os.RemoveAll(built.dir) // what is left of it harms nobody
		}
		os.Exit(code)
	}
	name, address, _ := strings.Cut(order, " ")
	go func() { // the driver's end is the worker's
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	conn, err := dial(address, grpc.WithStatsHandler(watcher{}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(3)
	}
	w := &worker{name: name, hub: protocol.NewTaskHubSidecarServiceClient(conn)}
	for { // connections are lost; that is what all this is about
		if err := w.stream(context.Background()); err != nil && !gone(err) {
			w.tell("error", "stream", "-", "-", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// link is a connection whose address no other one of the process ever has. Ports come again.
type link struct {
	net.Conn
	address linkAddress
}

type linkAddress string

func (linkAddress) Network() string  { return "tcp" }
func (a linkAddress) String() string { return string(a) }

func (l *link) LocalAddr() net.Addr { return l.address }

var links atomic.Int64

// dial connects, and again without much delay.
func dial(address string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return &link{c, linkAddress(fmt.Sprintf("link %d", links.Add(1)))}, nil
	}
	return grpc.NewClient("passthrough:"+address, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialer),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 100 * time.Millisecond}}))...)
}

// gone tells whether an error is of those that come with a lost connection, or a server that ends.
func gone(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Unknown:
		return true
	}
	return err == io.EOF
}

// worker runs whatever it is given.
type worker struct {
	name string
	hub  protocol.TaskHubSidecarServiceClient
	runs atomic.Int64
	out  sync.Mutex
}

// tell writes a record of the account with one write, which is in the pipe whole or not at all,
// whatever becomes of the process.
func (w *worker) tell(what, kind, subject, run string, more any) {
	line := fmt.Sprintf("%s %s %s %s %s %s\n", w.name, what, kind, subject, run, strings.ReplaceAll(fmt.Sprint(more), "\n", " "))
	w.out.Lock()
	defer w.out.Unlock()
	if _, err := io.WriteString(os.Stdout, line); err != nil {
		os.Exit(4) // nobody listens any more
	}
}

// stream takes work until the connection ends. What is in hand then is finished nevertheless.
func (w *worker) stream(ctx context.Context) error {
	in, err := w.hub.GetWorkItems(ctx, &protocol.GetWorkItemsRequest{
		MaxConcurrentOrchestrationWorkItems: 16, MaxConcurrentActivityWorkItems: 16, MaxConcurrentEntityWorkItems: 4})
	if err != nil {
		return err
	}
	for {
		item, err := in.Recv()
		if err != nil {
			return err
		}
		from := ""
		if p, ok := peer.FromContext(in.Context()); ok && p.LocalAddr != nil {
			from = p.LocalAddr.String()
		}
		if item.GetHealthPing() == nil {
			go w.run(item, from)
		}
	}
}

// run does an item that came by the connection from an address of ours.
func (w *worker) run(item *protocol.WorkItem, from string) {
	run := fmt.Sprintf("%s-%d-%d", w.name, os.Getpid(), w.runs.Add(1))
	token := item.GetCompletionToken()
	switch {
	case item.GetOrchestratorRequest() != nil:
		m := item.GetOrchestratorRequest()
		p := read(m.InstanceId, m.GetExecutionId().GetValue(), append(m.PastEvents, m.NewEvents...))
		r := &protocol.OrchestratorResponse{InstanceId: m.InstanceId, Actions: p.next(), CompletionToken: token}
		subject := fmt.Sprintf("%s/%d", m.InstanceId, len(m.PastEvents))
		w.answer(turn, subject, run, from, func(ctx context.Context, o grpc.CallOption) error {
			_, err := w.hub.CompleteOrchestratorTask(ctx, r, o)
			return err
		})
	case item.GetActivityRequest() != nil:
		m := item.GetActivityRequest()
		subject := fmt.Sprintf("%s/%d", m.GetOrchestrationInstance().GetInstanceId(), m.TaskId)
		w.tell("begin", activity, subject, run, "")
		<-time.After(time.Duration(rand.IntN(5000)) * time.Microsecond)
		result, err := json.Marshal(outcome{N: number(m.GetInput().GetValue()), By: run})
		if err != nil {
			w.tell("error", activity, subject, run, err)
			return
		}
		r := &protocol.ActivityResponse{InstanceId: m.GetOrchestrationInstance().GetInstanceId(), TaskId: m.TaskId, Result: wrapperspb.String(string(result)), CompletionToken: token}
		w.answer(activity, subject, run, from, func(ctx context.Context, o grpc.CallOption) error {
			_, err := w.hub.CompleteActivityTask(ctx, r, o)
			return err
		})
	case item.GetEntityRequestV2() != nil:
		r := tally(item.GetEntityRequestV2())
		r.CompletionToken = token
		w.answer(entity, item.GetEntityRequestV2().InstanceId, run, from, func(ctx context.Context, o grpc.CallOption) error {
			_, err := w.hub.CompleteEntityTask(ctx, r, o)
			return err
		})
	default:
		w.tell("error", "item", "-", run, item)
	}
}

// Kinds of work, as the account has them.
const (
	turn     = "turn"
	activity = "activity"
	entity   = "entity"
)

var kinds = []string{turn, activity, entity}

// answer sends an answer until the server has said something to it. The account gets
//
//	send  before each try
//	cut   the request was sent, and the connection ended, or nothing came for a while
//	firm  the server took it, on the connection that the item came by: it must count
//	late  the server took it on another connection: whether it counts depends on who else had the item
func (w *worker) answer(kind, subject, run, from string, call func(context.Context, grpc.CallOption) error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		f := &fate{}
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), fateKey{}, f), 2*time.Second)
		var by peer.Peer
		w.tell("send", kind, subject, run, "")
		err := call(ctx, grpc.Peer(&by))
		cancel()
		switch {
		case err == nil && by.LocalAddr != nil && by.LocalAddr.String() == from:
			w.tell("firm", kind, subject, run, "")
			return
		case err == nil:
			w.tell("late", kind, subject, run, "")
			return
		case !gone(err):
			w.tell("error", kind, subject, run, err)
			return
		case f.sent.Load() && !f.answered.Load():
			w.tell("cut", kind, subject, run, err)
		default:
			w.tell("away", kind, subject, run, err)
		}
		<-time.After(wait)
	}
}

// fate is how far a call came.
type fate struct{ sent, answered atomic.Bool }

type fateKey struct{}

// watcher sees what goes over the wire for a call.
type watcher struct{}

func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (watcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (watcher) HandleConn(context.Context, stats.ConnStats)                       {}

func (watcher) HandleRPC(ctx context.Context, s stats.RPCStats) {
	f, ok := ctx.Value(fateKey{}).(*fate)
	if !ok {
		return
	}
	switch s.(type) {
	case *stats.OutPayload:
		f.sent.Store(true)
	case *stats.InHeader, *stats.InPayload, *stats.InTrailer:
		f.answered.Store(true)
	}
}
