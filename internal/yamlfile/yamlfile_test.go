package yamlfile

import (
	"errors"
	"testing"
)

func TestLines(t *testing.T) {
	f := File{"f.yaml", []byte("version: 1\nlist:\n  - name: a\n    size: 1\n  -\n    name: b\n")}
	for path, line := range map[string]int{
		"$.version": 1, "$.list": 3, "$.list[0]": 3, "$.list[0].size": 4, "$.list[1]": 6, "$.list[1].name": 6,
		"$.list[1].size": 6, "$.none": 1, "$.none[3].deep": 1, // not there: what is above
	} {
		if got := f.line(path); got != line {
			t.Errorf("%s is in line %d, want %d", path, got, line)
		}
	}
	cause := errors.New("why")
	err := f.Wrong("$.list[0].size", cause, "bad\n  %d", 1)
	if err.Error() != "f.yaml:4: bad 1" || !errors.Is(err, cause) {
		t.Errorf("got %q", err)
	}
}

func TestDecode(t *testing.T) {
	type form struct {
		Version int    `yaml:"version"`
		Name    string `yaml:"name"`
	}
	for text, want := range map[string]string{
		"version: 1\nname: a\n":       "",
		"":                            "f.yaml:1: the file is empty",
		"version: 1\nnam: a\n":        `f.yaml:2: unknown field "nam"`,
		"name: a\nversion: x\n":       "f.yaml:2: cannot unmarshal string into Go struct field form.Version of type int",
		"name: a\nname: b\n":          `f.yaml:2: mapping key "name" already defined at [1:1]`,
		"name: a\n---\nname: b\n":     "f.yaml:1: the file has a second document; put it into a file of its own",
		"name: [a\n":                  `f.yaml:1: sequence end token ']' not found`,
		"version: 1\nname: {a: b}\n ": "f.yaml:2: cannot unmarshal map[string]interface {} into Go struct field form.Name of type string",
	} {
		var v form
		err := File{"f.yaml", []byte(text)}.Decode(&v)
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"version: 1\nnew: x\n":    "",
		"new: x\nversion: 2\n":    "f.yaml:2: version 2 is not one that this program reads, which is 1; use a newer program, or write version: 1",
		"new: x\n":                "f.yaml:1: the version is missing; begin the file with version: 1",
		"":                        "f.yaml:1: the version is missing; begin the file with version: 1",
		"version: [\n":            "", // Decode says what is wrong
		"version: 2\nname: [\n  ": "",
	} {
		err := File{"f.yaml", []byte(text)}.Version(1)
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
