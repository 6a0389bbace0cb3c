package httptool

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestParseTemplate(t *testing.T) {
	for _, bad := range []string{"", "example.com", "ftp://example.com", "https://", "https://{host}/x", "https://user:pw@example.com", "https://example.com/{", "https://example.com/}",
		"https://example.com/{}", "https://example.com/{a b}", "https://example.com/{a/b}", "https://example.com/x#f", "https://example.com/?{a}=1", "https://example.com/a/../b",
		"{url}/x", "https://exa mple.com/", "https://example.com/%zz", "/x", "//example.com", "https://example.com:port/", "https://example.com/%2e%2e/x"} {
		if _, err := parseTemplate(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%q: %v shows the URL, which may have a key in it", bad, err)
		}
	}
}

func TestExpand(t *testing.T) {
	const base = "https://example.com"
	for _, test := range []struct {
		template, arguments, want string // "!" and what the error has
	}{
		{base, `{}`, base},
		{base + "/a/{b}/c", `{"b": "x y/z?#%&="}`, base + "/a/x%20y%2Fz%3F%23%25&=/c"},
		{base + "/{b}", `{"b": 9007199254740993}`, base + "/9007199254740993"},
		{base + "/{b}", `{"b": true}`, base + "/true"},
		{base + "/{b}", `{"b": "日本"}`, base + "/%E6%97%A5%E6%9C%AC"},
		{base + "/v{b}.json", `{"b": ".."}`, base + "/v...json"},
		{base + "/?a={a}&k=1&b={b}", `{"b": "x&k=2+ "}`, base + "/?k=1&b=x%26k%3D2%2B+"},
		{base + "?a={a}&b", `{"a": [1, "x", null, false]}`, base + "?a=1&a=x&a=false&b"},
		{base + "?a={a},{b}", `{"a": [1, 2], "b": 3}`, base + "?a=1,3&a=2,3"},
		{base + "?a={a}", `{"a": null}`, base},
		{base + "?a={a}", `{"a": []}`, base},
		{base + "?a={a}", `{"a": ""}`, base + "?a="},
		{"{u}", `{"u": "http://x/y?z"}`, "http://x/y?z"},
		{base + "/{b}", `{"b": ".."}`, "!segment of dots"},
		{base + "/{b}/c", `{"b": "."}`, "!segment of dots"},
		{base + "/{b}", `{"b": "a/../../admin"}`, "!segment of dots"},
		{base + "/{b}", `{"b": "..\\admin"}`, "!segment of dots"},
		{base + "/{b}", `{"b": "%2e%2e/admin"}`, "!segment of dots"},
		{base + "/{b}", `{"b": "%252e%252e"}`, "!segment of dots"},
		{base + "/{a}{b}", `{"a": ".", "b": "."}`, "!segment of dots"},
		{base + "/.{b}", `{"b": "."}`, "!segment of dots"},
		{base + "/{b}", `{"b": ""}`, "!not empty"},
		{base + "/{b}", `{}`, "!not empty"},
		{base + "/{b}", `{"b": ["x", "y"]}`, "!one value"},
		{base + "/{b}", `{"b": {"c": 1}}`, "!text, a number or a boolean"},
		{base + "?a={a}", `{"a": [[1]]}`, "!text, a number or a boolean"},
		{base + "?a={a}", `{"a": "x\r\ny"}`, "!control characters"},
		{base + "?a={a}-{b}", `{"a": [1, 2], "b": [1, 2]}`, "!second list"},
		{"{u}", `{"u": ["http://x", "http://y"]}`, "!one URL"},
	} {
		tmpl, err := parseTemplate(test.template)
		if err != nil {
			t.Fatalf("%s: %v", test.template, err)
		}
		var arguments map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.arguments), &arguments); err != nil {
			t.Fatal(err)
		}
		got, err := tmpl.expand(arguments)
		if why, bad := strings.CutPrefix(test.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s with %s = %s, %v, want an error with %q", test.template, test.arguments, got, err, why)
			}
		} else if got != test.want || err != nil {
			t.Errorf("%s with %s = %s, %v, want %s", test.template, test.arguments, got, err, test.want)
		}
	}
}

// FuzzExpand checks that no argument gets out of its place: the host, the number of segments, the names of parameters
// and what is around the argument stay what the template says.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"x", "..", "a/b", "a\\..\\b", "%2e%2e", "a?b=c", "a#b", "@evil.com", "//evil.com", "a&c=d", "\r\nHost: x", "é", "\xff", "%", "%00"} {
		f.Add(seed, seed)
	}
	tmpl, err := parseTemplate("https://example.com/a/{p}/z?k=1&q=-{q}-&l=2")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p, q string) {
		encode := func(s string) json.RawMessage { b, _ := json.Marshal(s); return b }
		target, err := tmpl.expand(map[string]json.RawMessage{"p": encode(p), "q": encode(q)})
		if err != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil {
			t.Fatalf("%q, %q make %q: %v", p, q, target, err)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if u.Host != "example.com" || u.Scheme != "https" || u.User != nil || u.Fragment != "" || len(segments) != 4 || segments[1] != "a" || segments[3] != "z" {
			t.Fatalf("%q, %q make %q", p, q, target)
		}
		var sent string // what JSON makes of it
		if err := json.Unmarshal(encode(q), &sent); err != nil {
			t.Fatal(err)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(query) != 3 || query.Get("k") != "1" || query.Get("l") != "2" || query.Get("q") != "-"+sent+"-" {
			t.Fatalf("%q makes the query %q, %v", q, u.RawQuery, err)
		}
		if resolved := u.JoinPath(); !strings.HasPrefix(resolved.Path, "/a/") || !strings.HasSuffix(resolved.Path, "/z") {
			t.Fatalf("%q makes a path that is %q", p, resolved.Path)
		}
	})
}
