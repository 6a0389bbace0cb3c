package memory

import (
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/models"
)

// Counter counts the tokens of a text, as a model's tokenizer makes them. It must give
// the same for the same text, and may be used from several goroutines. Package
// memory/tokens has exact ones.
type Counter interface {
	Count(text string) int
}

// Estimate is a [Counter] without a vocabulary: quick, and rather too high than too low.
// Of English prose, code and JSON it finds about 1.3 times what there is; of scripts in
// which tokens are words, such as Cyrillic, up to four times. Only random letters, of
// hashes say, come out a little low.
var Estimate Counter = estimate{}

type estimate struct{}

// Count takes a word for a token, with more for what is long, and everything else of ASCII
// for nearly one; digits count for half of one, blanks and repeated characters for little.
// Capitals within a word and digits behind one are dear, since a vocabulary has few of
// such, and so are characters of four bytes; other scripts have a token for each character.
func (estimate) Count(text string) int {
	n, word := 0, 0 // n in 42ths of a token
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			switch word++; {
			case word == 1:
				n += 26
			case c <= 'Z':
				n += 36
			default:
				n += 8
			}
			continue
		case c >= utf8.RuneSelf:
			_, size := utf8.DecodeRuneInString(text[i:])
			if n += 42; size == 4 {
				n += 63
			}
			i += size - 1
		case c >= '0' && c <= '9' && word > 0:
			n += 42
		case c >= '0' && c <= '9':
			n += 21
		case i > 0 && c == text[i-1]:
			n += 6
		case c == ' ':
			n += 6
		default:
			n += 36
		}
		word = 0
	}
	return (n + 41) / 42
}

// Tokens of what is not text. A message costs a few for its role and its borders; an image
// costs what its provider says, which is less than these for most.
const (
	messageTokens  = 4
	callTokens     = 8
	imageTokens    = 1600
	lowImageTokens = 100
)

// Tokens counts the tokens of messages as a model is told them, images by a rule of thumb.
// A nil Counter is [Estimate].
func Tokens(c Counter, messages ...models.Message) int {
	if c == nil {
		c = Estimate
	}
	n := 0
	for _, m := range messages {
		n += messageTokens + c.Count(m.Content)
		if m.Name != "" {
			n += c.Count(m.Name)
		}
		for _, call := range m.ToolCalls {
			n += callTokens + c.Count(call.Name) + c.Count(call.Arguments)
		}
		for _, im := range m.Images {
			if im.Detail == "low" {
				n += lowImageTokens
			} else {
				n += imageTokens
			}
		}
	}
	return n
}

// Tokens counts what [View.Read] gives.
func (v View) Tokens(load Loader, h Head, c Counter) (int, error) {
	list, err := v.Read(load, h)
	return Tokens(c, list...), err
}

// cut shortens a text to at most so many tokens, by leaving out its middle.
func cut(c Counter, text string, tokens int) string {
	if c.Count(text) <= tokens {
		return text
	}
	const gap = "\n[…]\n"
	lo, hi := 0, len(text)/2 // bytes kept at each end
	for lo < hi {
		n := (lo + hi + 1) / 2
		if c.Count(ends(text, n, gap)) <= tokens {
			lo = n
		} else {
			hi = n - 1
		}
	}
	if lo == 0 {
		return ""
	}
	return ends(text, lo, gap)
}

// ends gives n bytes of both ends of a text, or less where that would split a character.
func ends(text string, n int, gap string) string {
	a, b := n, len(text)-n
	for a > 0 && !utf8.RuneStart(text[a]) {
		a--
	}
	for b < len(text) && !utf8.RuneStart(text[b]) {
		b++
	}
	return text[:a] + gap + text[b:]
}
