package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// stores are one on disk and one in memory.
func stores(t *testing.T) map[string]string {
	return map[string]string{"disk": storeURL(t), "memory": "memory:"}
}

func TestUnknownHub(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := open(t, server.Options{Store: store})
			c := client(t, s, nil)
			err := start(in(t, "Nowhere", ""), c, "a")
			if want := `there is no task hub "nowhere"; make it with: agentrun hub create nowhere, or have hubs made on first use: agentrun serve --dev`; status.Code(err) != codes.NotFound || status.Convert(err).Message() != want {
				t.Error(err)
			}
			if _, err := s.Client(t.Context(), "nowhere"); !errors.Is(err, durable.ErrNotFound) {
				t.Error(err)
			}
			if _, err := c.DeleteTaskHub(in(t, "nowhere", ""), &protocol.DeleteTaskHubRequest{}); status.Code(err) != codes.NotFound {
				t.Error(err)
			}
			if names, err := s.Names(t.Context()); err != nil || len(names) != 1 {
				t.Error(names, err)
			}
		})
	}
}

// TestHubsShareNothing has the same id in three hubs, one of which is deleted, and one made anew.
func TestHubsShareNothing(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := open(t, server.Options{Store: store})
			c := client(t, s, nil)
			for _, hub := range []string{"one", "two"} {
				if _, err := c.CreateTaskHub(in(t, hub, ""), &protocol.CreateTaskHubRequest{}); err != nil {
					t.Fatal(err)
				}
				if err := start(in(t, hub, ""), c, "run"); err != nil {
					t.Fatal(err)
				}
			}
			if exists(t, in(t, "", ""), c, "run") {
				t.Error("the hub default has it too")
			}
			if _, err := c.CreateTaskHub(in(t, "ONE", ""), &protocol.CreateTaskHubRequest{}); status.Code(err) != codes.AlreadyExists {
				t.Error("made again:", err)
			}
			if _, err := c.CreateTaskHub(in(t, "one", ""), &protocol.CreateTaskHubRequest{RecreateIfExists: true}); err != nil {
				t.Error("made anew:", err)
			}
			if exists(t, in(t, "one", ""), c, "run") || !exists(t, in(t, "two", ""), c, "run") {
				t.Error("the wrong hub is empty")
			}
			if _, err := c.DeleteTaskHub(in(t, "two", ""), &protocol.DeleteTaskHubRequest{}); err != nil {
				t.Error(err)
			}
			if names, err := s.Names(t.Context()); err != nil || fmt.Sprint(names) != "[default one]" {
				t.Error(names, err)
			}
			if err := start(in(t, "two", ""), c, "x"); status.Code(err) != codes.NotFound {
				t.Error("in a hub that is gone:", err)
			}
			for _, recreate := range []bool{true, false} {
				_, err := c.DeleteTaskHub(in(t, "", ""), &protocol.DeleteTaskHubRequest{})
				if recreate {
					_, err = c.CreateTaskHub(in(t, "default", ""), &protocol.CreateTaskHubRequest{RecreateIfExists: true})
				}
				if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "cannot be deleted") {
					t.Error("the hub default:", err)
				}
			}
			if store == "memory:" {
				return
			}
			left, err := filepath.Glob(filepath.Join(hubsDir(store), "two*"))
			if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "two.db.lock") {
				t.Error("of a hub that is gone there is", left, err)
			}
		})
	}
}

// TestDev makes hubs on first use, however many ask for one at the same time.
func TestDev(t *testing.T) {
	s := open(t, server.Options{Store: storeURL(t), Dev: true, Limits: server.Limits{Hubs: 2}})
	c := client(t, s, nil)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if err := start(in(t, "New", ""), c, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := start(in(t, "../new", ""), c, "x"); status.Code(err) != codes.InvalidArgument {
		t.Error("a path:", err)
	}
	if err := start(in(t, "third", ""), c, "x"); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "has 2 task hubs open; raise that with: agentrun serve --max-hubs") {
		t.Error("one hub too many:", err)
	}
	if names, err := s.Names(t.Context()); err != nil || fmt.Sprint(names) != "[default new]" {
		t.Error(names, err)
	}
}

// TestDeleteInUse deletes a hub while clients wait in it and start runs, and others ask for it.
func TestDeleteInUse(t *testing.T) {
	s := open(t, server.Options{Store: storeURL(t)})
	c := client(t, s, nil)
	for round := range 5 {
		if _, err := c.CreateTaskHub(in(t, "busy", ""), &protocol.CreateTaskHubRequest{}); err != nil {
			t.Fatal(err)
		}
		if exists(t, in(t, "busy", ""), c, "0") {
			t.Fatal("the hub before has left something")
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if err := start(in(t, "busy", ""), c, fmt.Sprint(i)); err != nil && status.Code(err) != codes.NotFound && status.Code(err) != codes.Unavailable {
					t.Error("start:", err)
				}
				_, err := c.WaitForInstanceCompletion(in(t, "busy", ""), &protocol.GetInstanceRequest{InstanceId: fmt.Sprint(i)})
				if code := status.Code(err); code != codes.Unavailable && code != codes.NotFound {
					t.Error("wait:", err)
				}
			})
		}
		if round%2 == 0 {
			for !exists(t, in(t, "busy", ""), c, "0") {
				runtime.Gosched()
			}
		}
		if _, err := c.DeleteTaskHub(in(t, "busy", ""), &protocol.DeleteTaskHubRequest{}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
	}
	if err := s.Health(); err != nil {
		t.Error(err)
	}
}

// TestHubFails has a hub that cannot be opened: the others are served, its callers hear why, and when
// it is mended the next call finds it.
func TestHubFails(t *testing.T) {
	o := server.Options{Store: storeURL(t)}
	if err := server.CreateHub(t.Context(), o.Store, "bad"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(hubsDir(o.Store), "bad.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	c := client(t, s, nil)
	if err := start(in(t, "", ""), c, "a"); err != nil {
		t.Error("in the hub default:", err)
	}
	for range 2 {
		if err := start(in(t, "bad", ""), c, "a"); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "task hub bad: ") {
			t.Error("in the bad one:", err)
		}
	}
	if err := s.Health(); err == nil || !strings.Contains(err.Error(), "task hub bad: ") {
		t.Error("health:", err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(start(in(t, "bad", ""), c, "a"), s.Health()); err != nil {
		t.Error("when it is mended:", err)
	}
}

// TestHubHalts has a hub stop by itself: it is opened again. Without the hub default there is no
// server.
func TestHubHalts(t *testing.T) {
	s := open(t, server.Options{Store: storeURL(t), Dev: true})
	c := client(t, s, nil)
	if err := start(in(t, "one", ""), c, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Halt(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	for { // what comes before it is open again is told to come again
		err := start(in(t, "one", ""), c, "b")
		if err == nil {
			break
		}
		if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if !exists(t, in(t, "one", ""), c, "a") {
		t.Error("it has lost something")
	}
	if err := s.Halt(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if s.Err() == nil || s.Health() == nil {
		t.Error("nobody says why it stopped")
	}
}

func TestInstancesOfAHub(t *testing.T) {
	s := open(t, server.Options{Store: "memory:", Dev: true, Limits: server.Limits{Instances: 1}})
	c := client(t, s, nil)
	for _, hub := range []string{"", "other"} {
		if err := start(in(t, hub, ""), c, "a"); err != nil {
			t.Error(err)
		}
		if err := start(in(t, hub, ""), c, "b"); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "--max-instances") {
			t.Error(err)
		}
	}
}

// TestWithoutServer makes, lists and deletes the hubs of a store that nobody serves.
func TestWithoutServer(t *testing.T) {
	store := storeURL(t)
	if names, err := server.Hubs(store); err != nil || fmt.Sprint(names) != "[default]" {
		t.Error(names, err)
	}
	if err := server.CreateHub(t.Context(), store, "One"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"again": server.CreateHub(t.Context(), store, "one"), "default": server.CreateHub(t.Context(), store, "default"),
	} {
		if !errors.Is(err, durable.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"notes.txt", "Upper.db", "x.db-wal", "..db", "a b.db"} { // no hubs
		if err := os.WriteFile(filepath.Join(hubsDir(store), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(hubsDir(store), "dir.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if names, err := server.Hubs(store); err != nil || fmt.Sprint(names) != "[default one]" {
		t.Error(names, err)
	}
	rt, err := durable.Open(t.Context(), "sqlite:"+filepath.Join(hubsDir(store), "one.db"))
	if err != nil {
		t.Fatal(err)
	}
	held := new(durable.HeldError)
	if err := server.DeleteHub(store, "one"); !errors.As(err, &held) {
		t.Error("deleted in use:", err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.DeleteHub(store, "one"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]error{"one": durable.ErrNotFound, "default": durable.ErrInvalid, "../hub": durable.ErrInvalid, "dir": durable.ErrNotFound} {
		if err := server.DeleteHub(store, name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := server.CreateHub(t.Context(), "memory:", "one"); !errors.Is(err, durable.ErrInvalid) {
		t.Error("in memory:", err)
	}
	if _, err := server.Dial(t.Context(), store, ""); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Error(err)
	}
}
