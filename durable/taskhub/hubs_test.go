package taskhub_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestHubs makes, uses, lists and deletes hubs through the socket of a server.
func TestHubs(t *testing.T) {
	d := &shelf{hubs: map[string]taskhub.Hub{"default": newEngine(t)}, make: func() taskhub.Hub { return newEngine(t) }}
	path := socketPath(t)
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := taskhub.ServeAll(lis, d, taskhub.ServerOptions{})
	defer server.Close()
	r := dial(t, path)
	if err := r.CreateHub(t.Context(), "Team-A", false); err != nil {
		t.Fatal(err)
	}
	if err := r.CreateHub(t.Context(), "team-a", false); !errors.Is(err, engine.ErrExists) {
		t.Error("made again:", err)
	}
	if names, err := r.Hubs(t.Context()); err != nil || !slices.Equal(names, []string{"default", "team-a"}) {
		t.Error("listed:", names, err)
	}
	in := metadata.AppendToOutgoingContext(t.Context(), "taskhub", "TEAM-a")
	if _, err := r.Start(in, engine.Start{ID: "one", Name: "script"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(in, "one", false); err != nil {
		t.Error("in its hub:", err)
	}
	if _, err := r.Get(t.Context(), "one", false); !errors.Is(err, engine.ErrNotFound) {
		t.Error("in another hub:", err)
	}
	if err := r.CreateHub(t.Context(), "team-a", true); err != nil {
		t.Error("made anew:", err)
	}
	if _, err := r.Get(in, "one", false); !errors.Is(err, engine.ErrNotFound) {
		t.Error("in a hub that is made anew:", err)
	}
	if err := r.DeleteHub(t.Context(), "team-a"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"deleted again": r.DeleteHub(t.Context(), "team-a"), "used": r.Raise(in, "one", "x", nil)} {
		if !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.CreateHub(t.Context(), "../evil", false); !errors.Is(err, engine.ErrInvalid) {
		t.Error("a path:", err)
	}
}

// TestOneHub has a server that knows no others.
func TestOneHub(t *testing.T) {
	path, _ := serve(t, newEngine(t))
	r := dial(t, path)
	_, err := r.Hubs(t.Context())
	for _, err := range []error{err, r.CreateHub(t.Context(), "a", false), r.DeleteHub(t.Context(), "a")} {
		if !errors.Is(err, taskhub.ErrOneHub) {
			t.Error(err)
		}
	}
}

// TestHubsSeen lists to the owner of a token the hubs that it is for.
func TestHubsSeen(t *testing.T) {
	tokens := access.Open(filepath.Join(t.TempDir(), "tokens.json"))
	conn := serveTCP(t, &shelf{hubs: map[string]taskhub.Hub{"a": broken{}, "b": broken{}}}, taskhub.ServerOptions{Access: tokens})
	for hub, want := range map[string]string{"a": "a", "*": "a b", "c": ""} {
		secret, _, err := tokens.Create(access.Token{Role: access.Reader, Hub: hub})
		if err != nil {
			t.Fatal(err)
		}
		m, err := protocol.NewLocalClient(conn).ListHubs(as(t.Context(), "", secret), &protocol.ListHubsRequest{})
		if got := strings.Join(m.GetNames(), " "); got != want || err != nil {
			t.Errorf("a token for %s sees %q, %v", hub, got, err)
		}
	}
}

func TestHubName(t *testing.T) {
	for name, want := range map[string]string{"default": "default", "Team-A": "team-a", "0_x": "0_x", strings.Repeat("A", 64): strings.Repeat("a", 64), "console": "console"} {
		if got, err := taskhub.HubName(name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "../x", "a/b", `a\b`, "a.db", "-a", "_a", "a b", "a\x00", "a\n", "ä", "\u212a", "\u017f", "*", "con", "NUL", "com1", "lpt9", strings.Repeat("a", 65), "a:b", "~", "a%2e",
	} {
		if got, err := taskhub.HubName(bad); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q is %q, %v", bad, got, err)
		}
	}
}

// FuzzMetadata has any header of a hub and any token: no name leads out of a directory, and no
// token but the good one lets anybody in, in its own hub alone.
func FuzzMetadata(f *testing.F) {
	tokens := access.Open(filepath.Join(f.TempDir(), "tokens.json"))
	secret, _, err := tokens.Create(access.Token{Role: access.Operator, Hub: "default"})
	if err != nil {
		f.Fatal(err)
	}
	for _, hub := range []string{"", "default", "DEFAULT", "../x", "other", "a\x00b"} {
		for _, header := range []string{"Bearer good", "bearer  good ", "Basic good", "good", "", "Bearer", "Bearer art_", "Bearer good x"} {
			f.Add(hub, header)
		}
	}
	f.Fuzz(func(t *testing.T, hub, header string) {
		name, err := taskhub.HubName(hub)
		if err == nil {
			if again, err := taskhub.HubName(name); again != name || err != nil {
				t.Errorf("%q is kept as %q, and that as %q, %v", hub, name, again, err)
			}
			if !filepath.IsLocal(name) || filepath.Base(name) != name || !strings.EqualFold(name, hub) {
				t.Errorf("%q is kept as %q", hub, name)
			}
		}
		sent := strings.ReplaceAll(header, "good", secret)
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("taskhub", hub, "authorization", sent))
		err = taskhub.Admit(ctx, tokens, protocol.TaskHubSidecarService_StartInstance_FullMethodName)
		words := strings.Fields(sent)
		good := len(words) == 2 && strings.EqualFold(words[0], "bearer") && words[1] == secret
		switch in := hub == "" || name == "default"; {
		case err == nil && !(good && in):
			t.Errorf("%q lets in, in hub %q", header, hub)
		case err != nil && status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.PermissionDenied:
			t.Errorf("%q in hub %q: %v", header, hub, err)
		case err != nil && strings.Contains(err.Error(), secret[12:]):
			t.Errorf("the token is told: %v", err)
		}
	})
}
