package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// parallel is how many work items of each kind a worker process takes at a time.
const parallel = 100

// maxMessage is the largest message taken from a server, in bytes: a fan-out's whole
// history comes in one.
const maxMessage = 64 << 20

// dial makes a channel to the server, and the context that its calls need.
func dial(ctx context.Context, c Connection) (context.Context, *grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+c.Target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to %s: %w", c.Target, err)
	}
	if c.Hub != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "taskhub", c.Hub)
	}
	return ctx, conn, nil
}

// Steps that are none: the end of an orchestration, and the turn of one that waits.
const (
	stepEnd  = -1
	stepWait = -2
)

// mark says that a step began to be done, in nanoseconds since 1970.
type mark struct {
	Run  string `json:"run"`
	Step int32  `json:"step"`
	At   int64  `json:"at"`
}

// worker is a worker process.
type worker struct {
	client protocol.TaskHubSidecarServiceClient

	mu    sync.Mutex
	marks []mark // since they were last asked for
}

// Work is a worker process: it runs the benchmark's orchestrations and activities
// for the server until in ends or ctx is over. It writes a line to out when it is
// there, and for each line that it reads another one with what it did since the line
// before.
func Work(ctx context.Context, c Connection, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, conn, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	w := &worker{client: protocol.NewTaskHubSidecarServiceClient(conn), marks: []mark{}}
	if _, err := w.client.Hello(ctx, &emptypb.Empty{}, grpc.WaitForReady(true)); err != nil {
		return fmt.Errorf("the server at %s: %w", c.Target, err)
	}
	stream, err := w.client.GetWorkItems(ctx, &protocol.GetWorkItemsRequest{
		MaxConcurrentOrchestrationWorkItems: parallel, MaxConcurrentActivityWorkItems: parallel, WorkItemFilters: filters(),
	})
	if err != nil {
		return fmt.Errorf("work items: %w", err)
	}
	var under sync.WaitGroup
	under.Go(func() { cancel(w.take(ctx, stream, &under, cancel)) })
	defer under.Wait()
	defer cancel(nil)
	lines := json.NewEncoder(out)
	if err := lines.Encode([]mark{}); err != nil {
		return fmt.Errorf("saying that the worker is there: %w", err)
	}
	asked := make(chan struct{})
	go func() { // it ends with in, which may be after this function
		defer close(asked)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case asked <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case _, ok := <-asked:
			if !ok {
				return nil
			}
			if err := lines.Encode(w.report()); err != nil {
				return fmt.Errorf("saying what was done: %w", err)
			}
		}
	}
}

// report gives what was done since the last report.
func (w *worker) report() []mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	marks := w.marks
	w.marks = []mark{}
	return marks
}

func (w *worker) take(ctx context.Context, stream protocol.TaskHubSidecarService_GetWorkItemsClient, under *sync.WaitGroup, fail func(error)) error {
	for {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the server ended the stream of work items")
		}
		if err != nil {
			return fmt.Errorf("work items: %w", err)
		}
		under.Go(func() {
			if err := w.do(ctx, item); err != nil {
				fail(err)
			}
		})
	}
}

// do answers a work item; what is none, such as a ping, needs no answer.
func (w *worker) do(ctx context.Context, item *protocol.WorkItem) error {
	if m := item.GetActivityRequest(); m != nil {
		w.mark(m.GetOrchestrationInstance().GetInstanceId(), m.TaskId)
		r := step(m)
		r.CompletionToken = item.CompletionToken
		if _, err := w.client.CompleteActivityTask(ctx, r); err != nil {
			return fmt.Errorf("the answer of a step: %w", err)
		}
	}
	if m := item.GetOrchestratorRequest(); m != nil {
		t := readTurn(m)
		actions, ends := t.next(m.InstanceId)
		r := &protocol.OrchestratorResponse{InstanceId: m.InstanceId, Actions: actions, CompletionToken: item.CompletionToken}
		_, err := w.client.CompleteOrchestratorTask(ctx, r)
		if err != nil {
			return fmt.Errorf("the answer of a turn: %w", err)
		}
		switch {
		case ends:
			w.mark(m.InstanceId, stepEnd)
		case t.name == waitName:
			w.mark(m.InstanceId, stepWait)
		}
	}
	return nil
}

func (w *worker) mark(run string, step int32) {
	at := time.Now().UnixNano()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks = append(w.marks, mark{run, step, at})
}
