// Package scripted is a model that answers from a script: for examples that need no
// key, for tests, and for evals that must give the same run each time.
//
// A script is a list of entries. The first one that fits a request answers it:
//
//	model := scripted.New(
//		scripted.Entry{Agent: "weather", Calls: []scripted.Call{{Tool: "forecast", Arguments: map[string]any{"city": "Oslo"}}}},
//		scripted.Entry{Agent: "weather", Text: "It will rain in Oslo."},
//	)
//
// or, in a file for [Load]:
//
//	version: 1
//	answers:
//	  - agent: weather
//	    calls:
//	      - {tool: forecast, arguments: {city: Oslo}}
//	  - agent: weather
//	    latency: 800ms
//	    text: It will rain in Oslo.
//
// # Which entry answers
//
// An answer depends on the request alone, so that a run that is killed and resumed by
// another process goes on with the right one. There are no counters. A request's turn
// is the number of assistant messages in its conversation plus one, and an entry fits
// if all of these hold:
//
//   - its agent is the request's, or it names none;
//   - its turn is the request's, if it has one;
//   - every text under when is found where it says;
//   - if it has neither turn nor when, and is not marked always, its number among the
//     entries of that kind with the same agent is the request's turn. So plain entries
//     of an agent answer its turns 1, 2, 3 … in the order in which they are written.
//
// An entry that names no agent is numbered among those that name none.
//
// Where nothing fits, the error (models.KindNoAnswer) says what was asked and what the
// script has.
package scripted
