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
// [FromEnv] reads OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_ORG_ID and gives the
// [models.Provider] that a [models.Resolver] takes.
//
// # What is done for you
//
// Every answer is streamed, and counts only with a finish_reason: a connection that
// ends cleanly in mid-answer is an error, not a short answer. Tool calls are put
// together by index, so parallel ones may come interleaved. A transport below the
// library notes what the library does not pass on: status, Retry-After, and error
// events in mid-stream.
//
// What servers are known to refuse is not sent: an empty tool result goes out as
// "(no output)", empty arguments as {}, and arguments that are not JSON inside a
// JSON object, as the model would otherwise never see its own mistake. A temperature
// of 0 is sent, as the smallest number that the library does not drop.
//
// # Keys
//
// The key is held in a closure and set on the request below the library. It appears
// in no error, String or log value. Redirects are not followed, since they would
// carry it to another host.
package openai
