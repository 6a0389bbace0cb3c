package shelltool

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOutput(t *testing.T) {
	for _, test := range []struct {
		limit  int
		writes []string
		want   string
	}{
		{8, nil, ""},
		{8, []string{"abc", "defgh"}, "abcdefgh"},
		{8, []string{"abcdefghi"}, "abcd\n[1 of 9 bytes left out]\nfghi"},
		{8, []string{"abcd", "e", "f", "g", "h", "i", "jk"}, "abcd\n[3 of 11 bytes left out]\nhijk"},
		{8, []string{"ab", strings.Repeat("x", 100), "yz"}, "abxx\n[96 of 104 bytes left out]\nxxyz"},
		{7, []string{"0123456789"}, "0123\n[3 of 10 bytes left out]\n789"},
		{1, []string{"ab", "c"}, "a\n[2 of 3 bytes left out]\n"},
		{8, []string{"€€€€€"}, "€\n[9 of 15 bytes left out]\n€"},
	} {
		o := output{limit: test.limit}
		for _, w := range test.writes {
			if n, err := o.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("write = %d, %v", n, err)
			}
		}
		if got := o.String(); got != test.want {
			t.Errorf("%d bytes of %q = %q, want %q", test.limit, test.writes, got, test.want)
		}
	}
}

// FuzzOutput writes a text in pieces: what is shown is its beginning and its end, whole if it is short, between
// characters, and nothing is held beyond the limit.
func FuzzOutput(f *testing.F) {
	f.Add("héllo wörld", 5, 2)
	f.Add("€€€€€€", 8, 1)
	f.Add("\x80\x80\x80\x80\x80\x80\x80", 4, 3)
	f.Fuzz(func(t *testing.T, text string, limit, piece int) {
		limit, piece = 1+limit&63, 1+piece&15
		o := output{limit: limit}
		for rest := text; rest != ""; {
			n := min(piece, len(rest))
			o.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if len(o.head)+len(o.tail) > limit {
			t.Fatalf("%d bytes are held, the limit is %d", len(o.head)+len(o.tail), limit)
		}
		got := o.String()
		if len(text) <= limit {
			if got != text {
				t.Fatalf("%q became %q", text, got)
			}
			return
		}
		before, tail, ok := strings.Cut(got, fmt.Sprintf(" of %d bytes left out]\n", len(text)))
		at := strings.LastIndex(before, "\n[")
		if !ok || at < 0 || !strings.HasPrefix(text, got[:at]) {
			t.Fatalf("%q became %q", text, got)
		}
		left, err := strconv.Atoi(before[at+len("\n["):])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(text, tail) || left+at+len(tail) != len(text) || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
