package tokens

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"

	"github.com/agentrun-dev/agentrun/memory"
)

// Encodings that [Encoding] knows.
const (
	O200K  = "o200k_base"  // GPT-4o, GPT-4.1, GPT-5 and the models that reason
	CL100K = "cl100k_base" // GPT-4 and GPT-3.5
)

// Encoding gives the counter of an encoding by its name. The first use of an encoding
// takes some tens of milliseconds and megabytes for its vocabulary, which stay.
func Encoding(name string) (memory.Counter, error) {
	c, err := tokenizer.Get(tokenizer.Encoding(name))
	if err != nil {
		return nil, fmt.Errorf("tokens: encoding %q: %w; there are %s and %s", name, err, O200K, CL100K)
	}
	return counter{c}, nil
}

// ForModel gives the counter for a model of OpenAI by its name, also with a provider
// before it ("openai:gpt-4.1") or a date behind it. For others, whose vocabularies are
// not published or not here, it is an error: [memory.Estimate], or an encoding of about
// the same size with a margin, has to do.
func ForModel(model string) (memory.Counter, error) {
	name := model
	if _, rest, ok := strings.Cut(model, ":"); ok {
		name = rest
	}
	for _, m := range []struct{ prefix, encoding string }{
		{"gpt-3.5", CL100K}, {"gpt-4-", CL100K}, {"gpt-4o", O200K}, {"gpt-4.", O200K}, {"gpt-5", O200K},
		{"chatgpt-4o", O200K}, {"o1", O200K}, {"o3", O200K}, {"o4", O200K},
	} {
		if strings.HasPrefix(name, m.prefix) {
			return Encoding(m.encoding)
		}
	}
	if name == "gpt-4" {
		return Encoding(CL100K)
	}
	return nil, fmt.Errorf("tokens: the tokenizer of model %q is not known here: use memory.Estimate, or the encoding that is next to it", model)
}

type counter struct{ codec tokenizer.Codec }

// maxPiece bounds the bytes that are tokenized at once, and so the memory that takes: texts
// come from anywhere.
const maxPiece = 32 << 10

// Count counts the tokens of a text. Text without any white space for longer than 32 KiB is
// counted in pieces, which may find a token more for each.
//
// It may be called from several goroutines.
func (c counter) Count(text string) int {
	n := 0
	for text != "" {
		end := border(text)
		piece := strings.ToValidUTF8(text[:end], "\uFFFD")
		k, err := c.codec.Count(piece)
		if err != nil { // it promises none for valid text
			k = memory.Estimate.Count(piece)
		}
		n, text = n+k, text[end:]
	}
	return n
}

// border gives where the next piece of a text ends: before the white space that is behind
// most of it, so that the tokens are those of the whole text.
func border(text string) int {
	if len(text) <= maxPiece {
		return len(text)
	}
	for i := maxPiece; i > maxPiece/2; i-- {
		if text[i] == ' ' && text[i-1] > ' ' && text[i-1] < utf8.RuneSelf && text[i+1:] != "" && text[i+1] > ' ' {
			return i
		}
	}
	end := maxPiece
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if end == 0 {
		return maxPiece
	}
	return end
}
