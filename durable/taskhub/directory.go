package taskhub

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/agentrun-dev/agentrun/durable/engine"
)

// DefaultHub is the hub of those who name none.
const DefaultHub = "default"

// hubHeader is the metadata in which every call of the protocol names its hub.
const hubHeader = "taskhub"

// ErrOneHub is what a server says that has one hub and cannot make, delete or list others.
var ErrOneHub = errors.New("the program serves one task hub")

// Service is a task hub as it is served.
type Service struct {
	Hub Hub
	// Workers give the hub's work to other programs; nil: it runs its own definitions only.
	Workers *Workers
}

// Directory finds the task hubs of a server by their names, which are as [HubName] gives them. Its
// methods may be called from any goroutine.
type Directory interface {
	// Service gives a hub. Where there is none of that name, the error wraps [engine.ErrNotFound]
	// and says how one is made.
	Service(ctx context.Context, name string) (*Service, error)
	// Names lists the hubs, sorted.
	Names(ctx context.Context) ([]string, error)
	// Create makes a hub. One that is there already is [engine.ErrExists]; with recreate it is
	// deleted first, and what was in it is lost.
	Create(ctx context.Context, name string, recreate bool) error
	// Delete ends a hub and all that waits in it or for it, and deletes its data.
	Delete(ctx context.Context, name string) error
}

// alone is the directory of a server that has one hub, whatever clients call it.
type alone struct{ service *Service }

func (a alone) Service(context.Context, string) (*Service, error) { return a.service, nil }
func (a alone) Names(context.Context) ([]string, error)           { return nil, errAlone }
func (a alone) Create(context.Context, string, bool) error        { return errAlone }
func (a alone) Delete(context.Context, string) error              { return errAlone }

var errAlone = fmt.Errorf("%w; several are served by: agentrun serve", ErrOneHub)

// hubNames is what the name of a hub looks like: it is the name of a file too, on every system.
var (
	hubNames    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	deviceNames = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`) // of Windows
)

// HubName gives a hub's name as it is kept. Names have up to 64 letters of ASCII, digits, "-" and
// "_", and begin with a letter or digit. Upper and lower case are the same, as they are in the
// file systems where hubs lie. Any other name is [engine.ErrInvalid].
func HubName(name string) (string, error) {
	kept := strings.ToLower(name)
	if !hubNames.MatchString(name) || deviceNames.MatchString(kept) {
		return "", fmt.Errorf("%w: %.80q cannot be the name of a task hub; use up to 64 letters (a to z), digits, - and _, a letter or digit first", engine.ErrInvalid, name)
	}
	return kept, nil
}

// hubOf gives the name of the hub that a call is for. Access is granted by the same answer.
func hubOf(ctx context.Context) (string, error) {
	if names := metadata.ValueFromIncomingContext(ctx, hubHeader); len(names) > 0 && names[0] != "" {
		return HubName(names[0])
	}
	return DefaultHub, nil
}

// service gives the hub that a call is for.
func (s *Server) service(ctx context.Context) (*Service, error) {
	name, err := hubOf(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	service, err := s.directory.Service(ctx, name)
	if err != nil {
		return nil, toStatus(err)
	}
	return service, nil
}

// hub gives what a client asks of it.
func (s *Server) hub(ctx context.Context) (Hub, error) {
	service, err := s.service(ctx)
	if err != nil {
		return nil, err
	}
	return service.Hub, nil
}
