package tokens_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/memory/tokens"
	"github.com/agentrun-dev/agentrun/models"
)

func counter(t testing.TB, encoding string) memory.Counter {
	t.Helper()
	c, err := tokens.Encoding(encoding)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The counts that OpenAI's own cookbook prints.
func TestCounts(t *testing.T) {
	for text, want := range map[string][2]int{ // cl100k, o200k
		"":                             {0, 0},
		"hello world":                  {2, 2},
		"tiktoken is great!":           {6, 6},
		"antidisestablishmentarianism": {6, 6},
		"2 + 2 = 4":                    {7, 7},
		"お誕生日おめでとう":                    {9, 8},
	} {
		for i, name := range []string{tokens.CL100K, tokens.O200K} {
			if got := counter(t, name).Count(text); got != want[i] {
				t.Errorf("%s: %q has %d tokens, not %d", name, text, got, want[i])
			}
		}
	}
}

// Cutting a long text into pieces finds the tokens of the whole one, and takes what is
// not text as it comes.
func TestLongTexts(t *testing.T) {
	c := counter(t, tokens.O200K)
	line := "The quick brown fox, 12345 of them; don't jump over the lazy dog. "
	one := c.Count(line+line) - c.Count(line)
	if got, want := c.Count(strings.Repeat(line, 5000)), c.Count(line)+4999*one; got != want {
		t.Errorf("%d tokens, not %d", got, want)
	}
	for _, text := range []string{strings.Repeat("a", 300_000), strings.Repeat(" ", 300_000), strings.Repeat("\xff", 70_000), strings.Repeat("日本", 40_000)} {
		if n := c.Count(text); n <= 0 || n > len(text)*3 {
			t.Errorf("%d tokens in %d bytes of %q…", n, len(text), text[:6])
		}
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if n := c.Count("hello world"); n != 2 {
				t.Errorf("%d tokens", n)
			}
		})
	}
	wait.Wait()
}

func TestForModel(t *testing.T) {
	for model, text := range map[string]string{
		"gpt-4.1": "8", "openai:gpt-4o-mini": "8", "gpt-5-nano": "8", "o4-mini-2025-04-16": "8", "gpt-4": "9", "gpt-4-0613": "9", "gpt-3.5-turbo": "9",
	} {
		c, err := tokens.ForModel(model)
		if err != nil {
			t.Error(err)
		} else if n := c.Count("お誕生日おめでとう"); fmt.Sprint(n) != text {
			t.Errorf("%s: %d tokens, not %s", model, n, text)
		}
	}
	for _, model := range []string{"", "llama3", "gpt-9", "gpt-40"} {
		if _, err := tokens.ForModel(model); err == nil {
			t.Errorf("%q has a tokenizer", model)
		}
	}
	if _, err := tokens.Encoding("gpt2000"); err == nil {
		t.Error("an encoding that is not there")
	}
}

// The estimate that is used without a vocabulary is above the truth, and not far.
func TestEstimate(t *testing.T) {
	c := counter(t, tokens.O200K)
	check := func(what, text string, least, most float64) {
		t.Helper()
		got, want := float64(memory.Estimate.Count(text)), float64(c.Count(text))
		if got < least*want || got > most*want+8 {
			t.Errorf("%s: %v tokens, estimated as %v (%.2f)", what, want, got, got/want)
		}
	}
	for _, name := range []string{"../../README.md", "../../ARCHITECTURE.md", "../view.go", "../../internal/lint/layers.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		check(name, string(b), 1, 1.6)
	}
	b, err := os.ReadFile("../../go.sum") // half of it is random
	if err != nil {
		t.Fatal(err)
	}
	check("hashes", string(b), 0.95, 1.6)
	for what, text := range map[string]string{
		"German":   "Die Bundesrepublik Deutschland ist ein demokratischer und sozialer Bundesstaat. Alle Staatsgewalt geht vom Volke aus.",
		"Russian":  "Все люди рождаются свободными и равными в своём достоинстве и правах.",
		"Chinese":  "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
		"Arabic":   "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
		"Japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
		"Hindi":    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
	} {
		check(what, text, 1, 4)
	}
	runs, ok := recordings(t)
	if !ok {
		t.Skip("the recordings in ../shared/data are not there")
	}
	for i, list := range runs[:40] {
		var results []string
		for _, m := range list {
			if m.Role == models.RoleTool {
				results = append(results, m.Content)
			}
		}
		check(fmt.Sprint("results of run ", i), strings.Join(results, "\n"), 1, 1.6)
		got, want := memory.Tokens(nil, list...), memory.Tokens(c, list...)
		if got < want || float64(got) > 1.6*float64(want) {
			t.Errorf("run %d: %d tokens, estimated as %d", i, want, got)
		}
	}
}
