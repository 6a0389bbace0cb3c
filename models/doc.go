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
// # In front of a model
//
// These take a model and give one, so that they go together in any order:
//
//   - [WithRetry] asks again after a failure that may pass.
//   - [Fallback] asks the next model of a chain after a failure that another model may
//     not have. It never does so once something was shown, unless it is told to: then
//     an event with Superseded says that the text begins anew.
//   - [WithTimeouts] gives up what takes too long to begin, or to end.
//   - [WithCache] asks no model what was answered before.
//   - [RequireUsage] makes an answer that does not say what it took an error, for
//     budgets. [Prices] says what tokens cost, as [Money] that adds up exactly.
//
// From the inside out: bounds for each attempt, retries, the chain, the cache.
//
//	models.WithCache(models.Fallback([]models.Named{
//		{Name: "large", Model: models.WithRetry(models.WithTimeouts(large, bounds), models.RetryOptions{})},
//		{Name: "small", Model: models.WithRetry(models.WithTimeouts(small, bounds), models.RetryOptions{})},
//	}, models.FallbackOptions{}), cache, models.CacheOptions{})
//
// What they did is in the answer: [Response.Answered], [Response.Tried] and
// [Response.Cached]; after a failure, [TriedOf] gives it.
//
// The package depends on nothing else of this module. No model keeps state but for the
// caches that it is given.
package models
