package taskhub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Dialer says how to connect to a hub; the zero value works.
type Dialer struct {
	// Store is what messages call the store, as its user wrote it. "": the socket's path.
	Store string
	// Version is that of this program, for the other one and for messages.
	Version string
	// Timeout is how long the program that holds the store may take to say that it lives. 0: 5 s.
	Timeout time.Duration
}

// Intervals of a Remote.
const (
	answerWithin = 5 * time.Second  // see Dialer.Timeout
	lookEvery    = time.Second      // how often a call under way makes sure that the holder lives
	callWithin   = 30 * time.Second // of a call that is not made to wait: a commit and what is before it
)

// Dial connects to the hub that is served at a socket, see [Dialer.Dial].
func Dial(ctx context.Context, path string) (*Remote, error) {
	return new(Dialer).Dial(ctx, path)
}

// Dial connects to the hub that is served at the socket path and makes sure that the program there
// can be talked to. Its errors wrap [ErrUnavailable] where nobody is there, [ErrNoAnswer] where
// somebody is and keeps silent, and [ErrVersion] where the two programs do not fit.
func (d *Dialer) Dial(ctx context.Context, path string) (*Remote, error) {
	r := &Remote{store: d.Store, timeout: d.Timeout, callWithin: callWithin}
	if r.store == "" {
		r.store = path
	}
	if r.timeout <= 0 {
		r.timeout = answerWithin
	}
	r.lookEvery = min(lookEvery, r.timeout)
	within, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, err := r.connect(within, path)
	if err == nil {
		r.info.PID = peerPID(conn)
		err = r.open(conn)
	}
	if err == nil {
		err = r.handshake(within, d.Version)
	}
	if err != nil {
		r.hangUp()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	r.ctx, r.end = context.WithCancelCause(context.Background())
	r.watcher.Go(r.watch)
	return r, nil
}

// connect makes the connection that the Remote has for its whole life.
func (r *Remote) connect(ctx context.Context, path string) (net.Conn, error) {
	err := checkDir(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", r.store, ErrUnavailable, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case isBusy(err) || errors.Is(err, context.DeadlineExceeded):
		return nil, r.silent()
	default:
		return nil, fmt.Errorf("%s: %w: %w", r.store, ErrUnavailable, err)
	}
}

// errLost is what gRPC gets when it wants to connect once more: behind the socket may by then be
// another program, with which no handshake was made.
var errLost = errors.New("the connection was lost")

// open makes a gRPC client of a connection. The socket's mode is what keeps others out, so there
// are no credentials.
func (r *Remote) open(conn net.Conn) error {
	r.pending = make(chan net.Conn, 1)
	r.pending <- conn
	var err error
	r.conn, err = grpc.NewClient("passthrough:///taskhub",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-r.pending:
				return c, nil
			default:
				return nil, errLost
			}
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithIdleTimeout(0), // it would hang up, and could not connect again
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive), grpc.MaxCallSendMsgSize(maxReceive)),
	)
	if err != nil {
		return fmt.Errorf("%s: %w", r.store, err)
	}
	r.hub, r.local = protocol.NewTaskHubSidecarServiceClient(r.conn), protocol.NewLocalClient(r.conn)
	return nil
}

// handshake learns who serves and refuses a program that speaks otherwise.
func (r *Remote) handshake(ctx context.Context, version string) error {
	m, err := r.local.Handshake(ctx, &protocol.HandshakeRequest{ProtocolVersion: protocolVersion, ProgramVersion: version})
	switch status.Code(err) {
	case codes.OK:
	case codes.DeadlineExceeded:
		return r.silent()
	case codes.Unimplemented:
		return fmt.Errorf("%w: %s serves %s, but it knows no handshake; stop it, or use the program that it belongs to", ErrVersion, r.info, r.store)
	default:
		return fmt.Errorf("%s: %w: %s", r.store, ErrUnavailable, status.Convert(err).Message())
	}
	r.info = Info{PID: int(m.GetPid()), Program: m.GetProgram(), Version: m.GetProgramVersion(), Since: timeOf(m.GetSince())}
	if theirs := m.GetProtocolVersion(); theirs != protocolVersion {
		if version != "" {
			version = " " + version
		}
		return fmt.Errorf("%w: %s is held by %s since %s, whose socket speaks version %d where this program%s speaks version %d; stop it, or use the same version of both",
			ErrVersion, r.store, r.info, r.info.Since.Local().Format(time.DateTime), theirs, version, protocolVersion)
	}
	return nil
}

// silent is the error about a holder that does not answer.
func (r *Remote) silent() error {
	who := "the program that holds " + r.store
	if r.info.PID != 0 {
		who += fmt.Sprintf(" (pid %d)", r.info.PID)
	}
	return &callError{who + " does not answer; let it go on if it is stopped, or end it", ErrNoAnswer}
}

// gone is the error about a holder that was there. Its cause is in words: the holder's own where it
// said goodbye.
func (r *Remote) gone(err error) error {
	text := fmt.Sprintf("%s, which served %s, has gone", r.info, r.store)
	if cause := status.Convert(err).Message(); !strings.Contains(cause, errLost.Error()) {
		text += ": " + cause
	}
	return &callError{text, ErrUnavailable}
}
