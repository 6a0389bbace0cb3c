// Package models is what an agent knows about language models: one small
// interface, the words of a conversation, and the rules that every answer must
// obey whoever gave it.
//
// A [Model] streams one answer to one [Request]:
//
//	for event, err := range model.Generate(ctx, &models.Request{
//		Model:    "gpt-4.1-mini",
//		Messages: []models.Message{models.UserMessage("Say hello.")},
//	}) {
//		if err != nil {
//			return err // a *models.Error: what happened, and whether asking again can help
//		}
//		fmt.Print(event.Delta)
//	}
//
// [Collect] reads such a stream to its end and returns the whole [Response].
//
// # Providers
//
// The packages below this one give models: models/openai talks to every server
// that speaks OpenAI's chat completions, models/scripted answers from a file or
// from Go code, models/recorded answers from what an earlier run was told. The
// package models/modeltest is the suite that all of them pass; run it on your own
// implementation of [Model] too. A [Resolver] finds the model that a name means.
//
// # What a complete answer is
//
// A stream that merely stops is not an answer. A model ends its sequence with an
// event that carries the Response, or with an error, and never with anything else.
// [Checked] enforces that, and refuses answers that no agent can use: neither text
// nor tool call, two calls with one id, a call without a name, bytes that are not
// UTF-8, or more than [MaxAnswerBytes]. Providers of this module apply it
// themselves; [Collect] and [WithRetry] apply it for models written elsewhere.
//
// # Errors and retries
//
// Every failure is an [*Error] with a Kind. [Error.Retryable] says whether the same
// request may succeed later. [WithRetry] does the waiting, honours Retry-After, and
// only repeats an attempt that has not shown anything to its caller yet: after the
// first event the decision belongs to whoever consumed it.
//
// The package depends on nothing else of this module and keeps no state.
package models
