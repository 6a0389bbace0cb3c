package dashboard

import (
	"strings"
	"testing"
	"time"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain 漢字\n\ttext": "plain 漢字\n\ttext", "a\u202Eb": `a\u202eb`, "a\r\nb\rc": `a` + "\n" + `b\u000dc`, "\x1b[31m\x00": `\u001b[31m\u0000`,
		"a\xffb": `a\xffb`, "real \uFFFD": "real \uFFFD", "\U000E0001tag": `\U000e0001tag`, "": "", "\u200d\u00ad": `\u200d\u00ad`,
	} {
		if got := visible(text); got != want {
			t.Errorf("visible(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPretty(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for text, want := range map[string]string{
		`{"a":[1,2]}`: "{\n  \"a\": [\n    1,\n    2\n  ]\n}", `"x"`: `"x"`, `{"a":`: `{"a":`, `no {json}`: `no {json}`, "": "", deep: deep,
		`"\u003cb\u003e \u0026 \\u003c \" \u00e9"`: `"<b> & \\u003c \" \u00e9"`, `\u003c`: `\u003c`, `{"\\":"\u003c"}`: "{\n  \"\\\\\": \"<\"\n}",
	} {
		if got := pretty(text); got != want {
			t.Errorf("pretty(%.80q) = %.80q, want %.80q", text, got, want)
		}
	}
}

func TestValueOf(t *testing.T) {
	if valueOf(nil, "x") != nil {
		t.Error("an absent value is shown")
	}
	if v := valueOf([]byte{}, "x"); v == nil || v.Text != "" || v.Bytes() != "0 bytes" || v.Full != "" {
		t.Errorf("an empty value is %+v", v)
	}
	for size, want := range map[int]string{1: "1 byte", maxValue: "4096 bytes", maxValue + 1: "4097 bytes", 20_000: "20 kB", 30_000_000: "30 MB"} {
		v := valueOf([]byte(strings.Repeat("é", size)[:size]), "x")
		if v.Bytes() != want || (v.Full != "") != (size > maxValue) || len(v.Text) > 2*maxValue {
			t.Errorf("%d bytes: %s, %d shown, whole at %q", size, v.Bytes(), len(v.Text), v.Full)
		}
		if size > maxValue && !strings.HasSuffix(v.Text, "é…") {
			t.Errorf("it is cut as %q", v.Text[len(v.Text)-8:])
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 999 * time.Millisecond: "999 ms", 1500 * time.Millisecond: "1.5 s", 61 * time.Second: "1 min 1 s",
		90 * time.Minute: "1 h 30 min", 47 * time.Hour: "47 h 0 min", 72 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}
