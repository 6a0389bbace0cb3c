// Package openai asks every server that speaks OpenAI's chat completions: OpenAI
// itself, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter and many more. It stands on
// github.com/sashabaranov/go-openai.
//
//	client, err := openai.New(openai.Options{
//		APIKey: os.Getenv("OPENAI_API_KEY"),
//		Model:  "gpt-4.1-mini",
//	})
//	if err != nil {
//		return err
//	}
//	model := models.WithRetry(client, models.RetryOptions{})
//
// For another server, give its base URL up to and including the API's version:
//
//	openai.Options{BaseURL: "http://localhost:11434/v1", Model: "qwen3:8b"}
//
// For Azure OpenAI, give the resource's address and the version of its API; the model
// is the name of a deployment:
//
//	openai.Options{
//		BaseURL:         "https://NAME.openai.azure.com",
//		AzureAPIVersion: "2024-10-21",
//		APIKey:          os.Getenv("AZURE_OPENAI_API_KEY"),
//		Model:           "my-gpt-4.1",
//	}
//
// A token of Entra ID instead of a key is set by a Transport, since it expires.
//
// [FromEnv] reads OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_ORG_ID and gives the
// [models.Provider] that a [models.Resolver] takes; [AzureFromEnv] does the same for
// Azure.
//
// # What is done for you
//
// Every answer is streamed, and counts only with a finish_reason: a connection that
// ends cleanly in mid-answer is an error, not a short answer. Tool calls are put
// together by index, so parallel ones may come interleaved. A transport below the
// library reads the stream, and so knows what the library does not pass on: status,
// Retry-After, error events in mid-stream, and reasoning under each of its names.
//
// What servers are known to refuse is not sent: an empty tool result goes out as
// "(no output)", empty arguments as {}, and arguments that are not a JSON object inside
// one, as the model would otherwise never see its own mistake. A setting of 0 is sent,
// where the library would leave it out.
//
// Images of a user go out as parts of the message, those that are here as data: URLs.
// The API takes none in tool results, so these follow in a message of the user after
// the results of the turn.
//
// # Keys
//
// The key is held in a closure and set on the request below the library. It appears
// in no error, String or log value. Redirects are not followed, since they would
// carry it to another host.
package openai
