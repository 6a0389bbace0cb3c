// Package wire lies between a library that speaks OpenAI's chat completions and the
// network. Libraries hide what a provider must know: the status and Retry-After of a
// failure, an error event in mid-stream, whether a finish_reason came at all. So the
// [Transport] of an [Endpoint] reads the stream itself, and the library above it is
// given one empty event for each real one, which tells it that there is something to
// take. What the answer is, and whether it is one, is decided here and is the same
// for every library.
//
// One request goes like this:
//
//	x, ctx, stop := endpoint.Begin(ctx, call) // the context carries the exchange
//	defer stop()
//	... the library sends with ctx, and reads ...
//	for _, event := range x.Take() { ... }    // whenever the library shows life
//	response, err := x.End(ctx, libraryError) // once it is done
//
// A library for another protocol can be watched too: [Watch] notes how its
// requests fail and leaves its answers alone.
package wire
