package agents_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// cellsEnv holds the plan of a process that is to be killed in the middle of calls.
const cellsEnv = "AGENTRUN_TEST_CELLS"

func TestMain(m *testing.M) {
	text := os.Getenv(cellsEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var p cellsPlan
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.work(context.Background())
	}
	fmt.Fprintln(os.Stderr, "worker:", err)
	os.Exit(3)
}

// A crash point is where a process stands still until it is killed.
type crashPoint string

const (
	beforeIntent  crashPoint = "before the intent is on disk" // of a repeatable tool, which has none: when its call is
	afterIntent   crashPoint = "after the intent, before the function"
	beforeEffect  crashPoint = "in the function, before its effect"
	afterEffect   crashPoint = "after the effect, before the receipt"
	afterReceipt  crashPoint = "after the receipt, before the next turn"
	whileWaiting  crashPoint = "while it waits for approval"
	afterDecision crashPoint = "after the decision, before the run acts on it"
	afterApproval crashPoint = "after the approval, before it starts"
)

// cellsPlan is what one process does: the runs of all cells go on to one point.
type cellsPlan struct {
	Dir   string
	Point crashPoint
	Cells []cell
}

// cell is an effect class of a tool, which is the agent's own or of a toolset.
type cell struct {
	Class   string // a text form of tools.Effect
	Settles bool   // it has a Reconcile
	Set     bool
	Asks    bool // it needs approval
}

func (c cell) String() string {
	s := c.Class
	if c.Settles {
		s += " with Reconcile"
	}
	if c.Set {
		s += " of a toolset"
	}
	return s
}

func (c cell) file(dir, what string) string {
	return filepath.Join(dir, strings.ReplaceAll(c.String(), " ", "-")+"."+what)
}

// cellLife is a cell in one process. The world outside of it, which sees what is really
// done, is a file: a line for each start of the tool, each effect and each question.
type cellLife struct {
	cell
	dir   string
	point crashPoint // "": none
	// commits is held by a commit, and so for ever by one that is the point: what it has
	// written is seen by readers before.
	commits *sync.Mutex
}

// saw writes a line with one write, so that it is whole whenever the process dies.
func (l cellLife) saw(what, key string) error {
	f, err := os.OpenFile(l.file(l.dir, "world"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(what + " " + key + "\n")
	return errors.Join(err, f.Close())
}

// seen gives the keys of what the world saw.
func (l cellLife) seen(what string) (keys []string, err error) {
	b, err := os.ReadFile(l.file(l.dir, "world"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(b)) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), what+" "); ok {
			keys = append(keys, key)
		}
	}
	return keys, err
}

// at stands still for ever if this is the point.
func (l cellLife) at(p crashPoint) {
	if l.point == p {
		_, _ = os.Stdout.WriteString("at " + l.String() + "\n")
		select {}
	}
}

func (l cellLife) pay(ctx context.Context, _ invoice) (string, error) {
	key := tools.Key(ctx)
	if err := l.saw("start", key); err != nil {
		return "", err
	}
	l.at(beforeEffect)
	if err := l.saw("effect", key); err != nil {
		return "", err
	}
	l.at(afterEffect)
	return "paid now", nil
}

// find is the tool's Reconcile.
func (l cellLife) find(_ context.Context, key string, _ invoice) (string, bool, error) {
	if err := l.saw("question", key); err != nil {
		return "", false, err
	}
	keys, err := l.seen("effect")
	for _, k := range keys {
		if k == key {
			return "paid before", true, nil
		}
	}
	return "", false, err
}

func (l cellLife) agent() *agents.Agent {
	back := tools.New("refund", "", func(context.Context, invoice) (string, error) { return "back", nil }, tools.Idempotent())
	opts := map[string][]tools.Option{
		"pure": {tools.Pure()}, "idempotent": {tools.Idempotent()}, "compensable": {tools.Compensable(back)}, "unsafe": nil,
	}[l.Class]
	if l.Settles {
		opts = append(opts, tools.Reconcile(l.find))
	}
	if l.Asks {
		opts = append(opts, tools.NeedsApproval(tools.Approval{}))
	}
	c := agents.Config{Name: "a", Model: "m"}
	pay := tools.New("pay", "Pay an invoice.", l.pay, opts...)
	if l.Set {
		c.Toolsets = []tools.Toolset{tools.Static("bank", pay)}
	} else {
		c.Tools = []tools.Tool{pay}
	}
	return agents.New(c)
}

// open opens the cell's store, with the point in it, and a runtime.
func (l cellLife) open(ctx context.Context) (*durable.Runtime, error) {
	disk, err := sqlite.Open(ctx, l.file(l.dir, "db"), sqlite.Options{Wait: true, NoPreallocation: true})
	if err != nil {
		return nil, err
	}
	if l.commits == nil {
		l.commits = &sync.Mutex{}
	}
	m := turns(answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "pay", Arguments: `{"number":7}`}), say("fine"))
	s := &cellStore{Store: disk, life: l}
	return durable.OpenStore(ctx, s, durable.Options{Logger: slog.New(slog.DiscardHandler)}, agents.Define(agents.Options{Models: only(m)}, l.agent()))
}

// run brings a cell's run to the point, and returns only if it does not come there.
func (l cellLife) run(ctx context.Context) error {
	rt, err := l.open(ctx)
	if err != nil {
		return err
	}
	if _, err := rt.Client().Get(ctx, "run"); durable.IsNotFound(err) {
		_, err = l.agent().Schedule(ctx, rt.Client(), "pay", agents.With(durable.WithInstanceID("run")))
		if err != nil {
			return err
		}
	}
	if l.point == afterDecision || l.point == afterApproval {
		list, err := agents.Inbox(ctx, rt.Client(), "run", true)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("the inbox has %v, %w", list, err)
		}
		if _, err := agents.Decide(ctx, rt.Client(), list[0].ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
			return err
		}
	}
	end, err := rt.Client().Wait(ctx, "run")
	if err != nil {
		return err
	}
	l.commits.Lock()
	return fmt.Errorf("the run ended before it came to the point: %s %v %s", end.Status, end.Failure, end.Output)
}

func (p cellsPlan) work(ctx context.Context) error {
	errs := make(chan error)
	for _, c := range p.Cells {
		go func() {
			err := cellLife{c, p.Dir, p.Point, &sync.Mutex{}}.run(ctx)
			errs <- fmt.Errorf("%s: %w", c, err)
		}()
	}
	return <-errs
}

// killed runs a process until all its cells stand at the point, and kills it.
func (p cellsPlan) killed(t *testing.T) {
	t.Helper()
	plan, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), cellsEnv+"="+string(plan))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, c := range p.Cells {
		left["at "+c.String()] = true
	}
	for lines := bufio.NewScanner(out); len(left) > 0 && lines.Scan(); {
		delete(left, lines.Text())
	}
	_ = cmd.Process.Kill()
	err = cmd.Wait()
	if len(left) > 0 {
		t.Fatalf("it ended with %v before it was killed; left are %v\n%s", err, left, errs.String())
	}
}

// cellStore stands still around the commit that is the point.
type cellStore struct {
	store.Store
	life    cellLife
	call    int32  // the event of the tool's call
	request string // of the call that makes the request for approval
}

func (s *cellStore) Commit(ctx context.Context, b *store.Batch) error {
	s.life.commits.Lock()
	defer s.life.commits.Unlock()
	for _, e := range b.Effects {
		if e.Receipt.IsZero() {
			s.life.at(beforeIntent)
		}
	}
	if err := s.Store.Commit(ctx, b); err != nil {
		return err
	}
	for _, e := range b.Effects {
		if e.Receipt.IsZero() {
			s.life.at(afterIntent)
		}
	}
	for _, row := range b.History {
		for ev, err := range history.DecodeRows(row.Data) {
			if err != nil {
				return err
			}
			s.event(ev)
		}
	}
	return nil
}

// event is told of what is on disk.
func (s *cellStore) event(ev *history.Event) {
	switch {
	case ev.Kind == history.TaskScheduled && strings.HasPrefix(ev.Name, "tool:"):
		s.call = ev.ID
		s.life.at(afterApproval)
		if s.life.Class == "pure" || s.life.Class == "idempotent" {
			s.life.at(beforeIntent)
		}
	case ev.Kind == history.TaskCompleted && s.call != 0 && ev.Answers == s.call:
		s.life.at(afterReceipt)
	case ev.Kind == history.EntityOperationCalled && ev.Name == "request":
		s.request = ev.Request
	case ev.Kind == history.EntityOperationCompleted && s.request != "" && ev.Request == s.request:
		s.life.at(whileWaiting)
	case ev.Kind == history.EventRaised && strings.HasPrefix(ev.Name, "approval:"):
		s.life.at(afterDecision)
	}
}
