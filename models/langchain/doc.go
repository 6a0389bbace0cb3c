// Package langchain asks models through github.com/tmc/langchaingo: any llms.Model that
// a program has already, or OpenAI's API through that library.
//
//	llm, err := anthropic.New(
//		anthropic.WithModel("claude-sonnet-4-5"),
//		anthropic.WithHTTPClient(langchain.HTTPClient(nil)),
//	)
//	if err != nil {
//		return err
//	}
//	claude := langchain.New(llm, langchain.Options{Provider: "anthropic", OnePartPerMessage: true})
//	agentrun.Main(agentrun.App{Models: map[string]models.Model{"claude": claude}})
//
// # What the library is not trusted with
//
// The library returns answers that were cut, cancelled or refused in mid-stream as
// whole ones, puts tool calls together wrongly, and tells of failures in text alone. So
// an answer counts only with a reason why it ended, whatever the library says; a model
// in the library that gives none, as llms/ollama does, is not usable here (models/openai
// speaks to Ollama). Tools make a request one that is not streamed, since the pieces of
// calls come as text like any other. The context is asked after every call.
//
// [HTTPClient] returns a client for the library's model. With it, a failure is known by
// its status, the provider's own code and Retry-After; without it, only that there was
// one, so it counts as one that another attempt cannot change.
//
// # What cannot be asked for
//
// The library has no words for some of a request, and others it cannot tell from
// nothing: parallel tool calls, reasoning effort, a seed or top_p of 0, and an output
// schema unless Options.JSONMode takes its place. Such a request is refused with an
// error of models.KindInvalidRequest rather than sent as another one.
// Options.CallOptions sets what a library's model has beyond it.
//
// # OpenAI's API
//
// [NewOpenAI] uses the library's llms/openai over a transport that writes what the
// library cannot and reads the stream itself, so that nothing of the above is refused
// or guessed, tool calls and reasoning are streamed, and the answers are those of
// models/openai.
package langchain
