package tools

import "fmt"

// DefaultPage is how many bytes a page has that was asked for without a limit, 16 KiB.
const DefaultPage = 16 << 10

// Page is a part of a long text. Offsets count bytes.
type Page struct {
	// Text is the part. It begins and ends between characters.
	Text string
	// Offset is where Text begins, Next where the page after it does. At the end of the text, Next is Total.
	Offset, Next int
	// Total is the length of the text.
	Total int
}

// PageOf cuts a page out of a text: at most limit bytes from offset on, but at least one character, so that whoever
// reads on from Next gets to the end. An offset within a character means the character. A limit of 0 means
// [DefaultPage], and none is over [DefaultMaxResult]. The error, for an offset or limit that makes no sense, is
// written for a model.
func PageOf(text string, offset, limit int) (Page, error) {
	switch {
	case offset < 0 || offset > len(text):
		return Page{}, fmt.Errorf("offset %d is outside of the text, which has %d bytes: use one from 0 to %d", offset, len(text), len(text))
	case limit < 0:
		return Page{}, fmt.Errorf("a page of %d bytes: the limit must be positive", limit)
	case limit == 0:
		limit = DefaultPage
	}
	limit = min(limit, DefaultMaxResult)
	start := boundary(text, offset)
	end := boundary(text, start+limit)
	if end == start && start < len(text) { // the first character is longer than the limit
		for end++; end < len(text) && boundary(text, end) != end; {
			end++
		}
	}
	return Page{Text: text[start:end], Offset: start, Next: end, Total: len(text)}, nil
}

// More reports whether there is something after the page.
func (p Page) More() bool { return p.Next < p.Total }

// String is the page as a model is shown it: the text, and a last line that says where it is from and how to read
// on. A text of a single page has no such line.
func (p Page) String() string {
	switch {
	case p.More():
		return fmt.Sprintf("%s\n[bytes %d to %d of %d: read on with offset %d]", p.Text, p.Offset, p.Next, p.Total, p.Next)
	case p.Offset > 0:
		return fmt.Sprintf("%s\n[bytes %d to %d of %d: this is the end]", p.Text, p.Offset, p.Next, p.Total)
	}
	return p.Text
}
