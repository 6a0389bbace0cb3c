// Package tokens counts tokens as the tokenizers of OpenAI's models do, for package
// memory. The vocabularies are part of the program that imports it, some megabytes, so
// nothing is loaded from elsewhere; programs that do not import it have none.
//
//	counter, err := tokens.ForModel("gpt-4.1")
//	…
//	plan, err := view.Plan(load, head, memory.Limits{Tokens: 100_000, Counter: counter})
package tokens
