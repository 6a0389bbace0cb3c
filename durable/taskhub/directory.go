package taskhub

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// DefaultHub is the hub of those who name none.
const DefaultHub = "default"

// hubHeader is the metadata in which every call of the protocol names its hub.
const hubHeader = "taskhub"

// Service is a task hub as it is served.
type Service struct {
	Hub Hub
	// Workers give the hub's work to other programs; nil: it runs its own definitions only.
	Workers *Workers
}

// Directory finds the task hubs of a server by their names.
type Directory interface {
	// Service gives a hub. Where there is none of that name, the error wraps [engine.ErrNotFound]
	// and says how one is made.
	Service(ctx context.Context, name string) (*Service, error)
}

// alone is the directory of a server that has one hub, whatever clients call it.
type alone struct{ service *Service }

func (a alone) Service(context.Context, string) (*Service, error) { return a.service, nil }

// service gives the hub that a call is for.
func (s *Server) service(ctx context.Context) (*Service, error) {
	name := DefaultHub
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if names := md.Get(hubHeader); len(names) > 0 && names[0] != "" {
			name = names[0]
		}
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
