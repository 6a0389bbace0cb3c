package bench

import (
	"fmt"
	"strconv"
)

// payload is what a step takes and gives: an object of payloadSize bytes as JSON.
// Question and answer differ, as they do in life.
type payload struct {
	Run  string `json:"run"`
	Step int    `json:"step"`
	Pad  string `json:"pad"`
}

const payloadSize = 1 << 10

// askPad and answerPad fill payloads with text that neither repeats nor needs to
// be escaped.
var askPad, answerPad = text(12345), text(67890)

func text(seed uint32) string {
	b := make([]byte, payloadSize)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyz      "[seed>>24&31]
	}
	return string(b)
}

// ask is the input of a step.
func ask(run string, step int) payload { return fill(run, step, askPad) }

// answer is the output to it.
func answer(q payload) payload { return fill(q.Run, q.Step, answerPad) }

// fill cuts the pad so that the whole has its size.
func fill(run string, step int, pad string) payload {
	var digits [20]byte
	rest := len(`{"run":"","step":,"pad":""}`) + len(run) + len(strconv.AppendInt(digits[:0], int64(step), 10))
	return payload{run, step, pad[:payloadSize-rest]}
}

// check says whether p is the answer to a step's input.
func check(p payload, run string, step int) error {
	if want := answer(ask(run, step)); p != want {
		return fmt.Errorf("step %d of %s has the answer %.60q…, want %.60q…", step, run, fmt.Sprint(p), fmt.Sprint(want))
	}
	return nil
}
