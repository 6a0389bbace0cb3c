package taskhub

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/live"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Errors of a [Remote], beside those of the engine.
var (
	// ErrUnavailable: no program serves the hub, or the one that did has gone. Whether it still made
	// the change that was asked for is not known. The caller may dial again, or take the store's
	// lease and be the next to serve.
	ErrUnavailable = errors.New("no program serves the task hub")
	// ErrNoAnswer: a program holds the store but says nothing. It may be stopped or hang; trying
	// again will not help before somebody looks after it.
	ErrNoAnswer = errors.New("the program that holds the store does not answer")
	// ErrVersion: the program that holds the store is of a version that this one cannot talk to.
	ErrVersion = errors.New("the program that holds the store is of another version")
	// ErrClosed: the Remote was closed by its own program.
	ErrClosed = errors.New("the connection to the task hub was closed")
)

// ErrLimit: what a client asks for is beyond a limit of the server; the text says which, and how it is
// raised.
var ErrLimit = errors.New("beyond a limit of the server")

// ErrEnding answers those who wait when the server is closed, and those who come then.
var ErrEnding = errors.New("it is ending")

// kinds pairs the errors of a hub with their status codes, for both directions. Of several that
// could match, the first counts. The protocol's clients try again after UNAVAILABLE and take every
// other of these codes for final.
var kinds = []struct {
	err  error
	code codes.Code
}{
	{engine.ErrExists, codes.AlreadyExists},
	{engine.ErrNotFound, codes.NotFound},
	{store.ErrNotFound, codes.NotFound},
	{engine.ErrInvalid, codes.InvalidArgument},
	{engine.ErrNotEnded, codes.FailedPrecondition},
	{engine.ErrCannotRewind, codes.FailedPrecondition},
	{engine.ErrSetAside, codes.DataLoss},
	{ErrLimit, codes.ResourceExhausted},
	{live.ErrTooMany, codes.ResourceExhausted},
	{ErrOneHub, codes.Unimplemented},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
	{ErrEnding, codes.Unavailable},
	{engine.ErrClosed, codes.Unavailable},
	{store.ErrClosed, codes.Unavailable},
	{store.ErrFenced, codes.Unavailable},
	{store.ErrUnknown, codes.Unavailable},
}

// maxMessage bounds a status message, which travels in a header. Long ones quote their input. gRPC
// mends what is not UTF-8 in it, also a character that is cut.
const maxMessage = 2000

// toStatus gives a hub's error the status that it has in the protocol; the message is the error's
// own, since clients show it to people.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, is := status.FromError(err); is {
		return err
	}
	code := codes.Internal
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			code = k.code
			break
		}
	}
	message := err.Error()
	if len(message) > maxMessage {
		message = message[:maxMessage] + "…"
	}
	return status.Error(code, message)
}

// callError is an error whose text is complete without that of its kind, which is there for
// errors.Is only. Above all it is a hub's error that has crossed the socket.
type callError struct {
	text string
	kind error
}

func (e *callError) Error() string { return e.text }
func (e *callError) Unwrap() error { return e.kind }

// fromStatus is the inverse of toStatus. UNAVAILABLE is not for it: what that means depends on the
// connection.
func fromStatus(err error) error {
	st := status.Convert(err)
	for _, k := range kinds {
		if k.code == st.Code() {
			return &callError{st.Message(), k.err}
		}
	}
	return &callError{st.Message(), err}
}
