package tools_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/tools"
)

func TestPageOf(t *testing.T) {
	tests := []struct {
		name, text    string
		offset, limit int
		want          string
		next          int
	}{
		{"first", "abcdef", 0, 4, "abcd\n[bytes 0 to 4 of 6: read on with offset 4]", 4},
		{"last", "abcdef", 4, 4, "ef\n[bytes 4 to 6 of 6: this is the end]", 6},
		{"all", "abcdef", 0, 6, "abcdef", 6},
		{"at the end", "abc", 3, 4, "\n[bytes 3 to 3 of 3: this is the end]", 3},
		{"empty", "", 0, 4, "", 0},
		{"between characters", "a€€", 0, 5, "a€\n[bytes 0 to 4 of 7: read on with offset 4]", 4},
		{"within a character", "a€b", 2, 3, "€\n[bytes 1 to 4 of 5: read on with offset 4]", 4},
		{"character over the limit", "€€", 0, 1, "€\n[bytes 0 to 3 of 6: read on with offset 3]", 3},
		{"default", strings.Repeat("x", 20000), 0, 0, strings.Repeat("x", tools.DefaultPage) + "\n[bytes 0 to 16384 of 20000: read on with offset 16384]", 16384},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, err := tools.PageOf(tt.text, tt.offset, tt.limit)
			if err != nil || page.String() != tt.want || page.Next != tt.next || page.Total != len(tt.text) {
				t.Errorf("page = %+v, %q, %v, want %q", page, page.String(), err, tt.want)
			}
		})
	}
	for _, at := range [][2]int{{-1, 1}, {4, 1}, {0, -1}} {
		if page, err := tools.PageOf("abc", at[0], at[1]); err == nil {
			t.Errorf("offset %d, limit %d: %+v, want an error", at[0], at[1], page)
		}
	}
	if page, err := tools.PageOf(strings.Repeat("x", 1<<20), 0, 1<<40); err != nil || len(page.Text) != tools.DefaultMaxResult {
		t.Errorf("a page of %d bytes, %v", len(page.Text), err)
	}
}

// FuzzPageOf reads texts to their end, which must give every byte once, in pages that are as short as asked.
func FuzzPageOf(f *testing.F) {
	f.Add("a€😀b", 1)
	f.Add(strings.Repeat("\x80", 10), 2)
	f.Add("", 3)
	f.Add("\n\xac000", 1)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(1, limit&0xff)
		var all strings.Builder
		for offset := 0; ; {
			page, err := tools.PageOf(text, offset, limit)
			if err != nil || page.Offset != offset {
				t.Fatalf("offset %d: %+v, %v", offset, page, err)
			}
			if len(page.Text) > max(limit, utf8.UTFMax) {
				t.Fatalf("a page of %d bytes, asked for %d", len(page.Text), limit)
			}
			if utf8.ValidString(text) && !utf8.ValidString(page.Text) {
				t.Fatalf("page %q of %q is cut within a character", page.Text, text)
			}
			all.WriteString(page.Text)
			if !page.More() {
				break
			}
			if page.Next <= offset {
				t.Fatalf("page %+v does not lead on", page)
			}
			offset = page.Next
		}
		if all.String() != text {
			t.Fatalf("the pages of %q are %q together", text, all.String())
		}
	})
}
