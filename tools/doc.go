// Package tools turns Go functions into tools that a model can call.
//
// A tool is a function with a struct argument:
//
//	type City struct {
//		Name string `json:"name" jsonschema:"description=City in English"`
//	}
//
//	var weather = tools.New("weather", "Current weather in a city.",
//		func(ctx context.Context, in City) (string, error) { return lookup(ctx, in.Name) },
//		tools.Pure())
//
// [New] derives a JSON Schema from the struct. Every call is checked against it before the function runs, so
// the function sees only arguments that its type promises. [Raw] makes a tool from a schema that is known only
// at run time.
//
// # Fields
//
// The json tag names a field. A field is required unless it is a pointer or says omitempty or omitzero. The
// jsonschema tag, read by github.com/invopop/jsonschema, describes and limits it (description, enum, minimum,
// maxLength, pattern, format, default and so on). A default is filled in when the model leaves the field out.
// Unknown fields are refused at every depth. A type that cannot appear in JSON, or that contains itself, is a
// wrong registration: [New] panics.
//
// # What goes wrong, and who hears of it
//
//   - Arguments that are not what the schema asks for are an [*ArgumentError]. Its message is written for the
//     model, which can correct the call.
//   - An ordinary error of the function is for the model too. It is returned as it is.
//   - An error marked with [Stop] ends the run.
//   - A panic is a [*PanicError]. The process goes on.
//   - A call that is over its [Timeout], or whose context has ended, returns at once, even when the function
//     ignores its context: with a [*TimeoutError] or the context's error where a repetition is harmless, with an
//     [*UnknownOutcomeError] where it is not.
//
// [ErrorResult] renders those that are for the model.
//
// # Results
//
// A string is shown to the model as it is, another value as JSON, and [Text], [JSON] and [Picture] make a [Result] of
// any of them. The model is shown at most [MaxResult] bytes; the whole is in [Result.Whole], and [PageOf] makes the
// pages that the model reads on in.
//
// While it runs, a function may report its [Progress] to people, and read and change the run's state with [State] and
// [SetState]: what is changed counts when the call succeeds, and only then.
//
// # Toolsets
//
// A [Toolset] finds its tools out at run time. [Filter], [Rename], [Prefix] and [WithOptions] make other sets of one,
// [Static] one of tools that are known, and [Collect] brings the tools of several together. [Tool.With] corrects the
// declarations of a tool that others made.
//
// # Effects
//
// A tool declares what repeating a call does: [Pure], [Idempotent], [Compensable] or [Unsafe]. One that declares
// nothing is unsafe. The durable agent loop decides from it what it may do after a crash: a pure call is simply
// made again, an unsafe one never. If such a call was interrupted, its [Reconcile] function is asked by key
// whether it happened:
//
//	var rollback = tools.New("roll_back", "Roll a service back.", rollBack,
//		tools.Unsafe(),
//		tools.Reconcile(findRollback), // func(ctx, key string, in In) (out Out, happened bool, err error)
//		tools.NeedsApproval(tools.Approval{By: []string{"sre"}, Within: time.Hour}))
//
// Each call has a stable idempotency key, the same over retries, crashes and restarts. The function reads it with
// [Key] and hands it to the service that it calls.
//
// # Canonical arguments
//
// Arguments are brought into a canonical form (RFC 8785, with numbers kept exact) before anything looks at them.
// [Digest] hashes that form and the function is called with it, so what an approval covers is what runs. Objects
// with duplicate keys and strings with unpaired surrogates have no such form and are argument errors.
package tools
