package scenario_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
)

var update = flag.Bool("update", false, "rewrite the expected messages in testdata/errors")

// TestErrors reads the scenarios of each archive in testdata/errors. The message that NAME.yaml gives
// is in NAME.want.
func TestErrors(t *testing.T) {
	archives, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("archives: %v, %v", archives, err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := txtar.Write(archive, dir); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range archive.Files {
			want[f.Name] = string(f.Data)
		}
		var files []txtar.File
		for _, f := range archive.Files {
			name, isScenario := strings.CutSuffix(f.Name, ".yaml")
			if !strings.HasSuffix(f.Name, ".want") {
				files = append(files, f)
			}
			if !isScenario {
				continue
			}
			_, err := scenario.Load(filepath.Join(dir, f.Name))
			if err == nil {
				t.Errorf("%s: %s has no error", path, f.Name)
				continue
			}
			got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") + "\n"
			files = append(files, txtar.File{Name: name + ".want", Data: []byte(got)})
			if *update {
				continue
			}
			if diff := cmp.Diff(want[name+".want"], got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", path, f.Name, diff)
			}
		}
		if *update {
			archive.Files = files
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

const small = "version: 1\nname: a\nteam: {agent: a}\n"

// TestLimits has what is too large for a file, and what takes a parser without limits minutes.
func TestLimits(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"size", small + "input: " + strings.Repeat("x", 4<<20), "s.yaml:1:1: the scenario is larger than 4 MiB; move data"},
		{"flow depth", small + "input: " + strings.Repeat("[", 300_000), "s.yaml:4:108: nested more than 100 levels"},
		{"list depth", small + "input:\n" + strings.Repeat("- ", 300_000), "s.yaml:5:201: nested more than 100 levels"},
		{"block depth", small + "input:\n" + staircase(150), "s.yaml:104:101: nested more than 100 levels"},
		{"keys", small + "input:\n" + strings.Repeat("  k: v\n", 80_000), "s.yaml:20000:4: the scenario has more than 20000 keys"},
		{"elements", small + "input: [" + strings.Repeat("1,", 300_000), "s.yaml:4:400010: the scenario has more than 200000 list elements"},
		{"UTF-8", small + "input: ü\n# \xff", "s.yaml:5:3: not valid UTF-8"},
		{"half a rune", "version: 1\nname: \xc3", "s.yaml:2:7: not valid UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := scenario.Parse("s.yaml", []byte(tt.data))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant one line that begins with %s", err, tt.want)
			}
		})
	}
}

func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

func TestManyProblems(t *testing.T) {
	_, err := scenario.Parse("s.yaml", []byte(small+strings.Repeat("#\n", 3)+"decisions:\n"+strings.Repeat("- x\n", 1000)))
	e, ok := errors.AsType[*scenario.Error](err)
	if !ok || len(e.Problems) != 101 {
		t.Fatalf("error is %.300v", err)
	}
	want := scenario.Problem{File: "s.yaml", Line: 108, Column: 3, Message: "and 900 more problems from here on"}
	if diff := cmp.Diff(want, e.Problems[100]); diff != "" {
		t.Errorf("last problem (-want +got):\n%s", diff)
	}
}

func TestLoadFinds(t *testing.T) {
	good := []byte(small)
	tests := []struct {
		name  string
		files []string
		path  string // in the directory
		want  string // the file that is found, or
		err   string // what the error has
	}{
		{"a file", []string{"x.yml"}, "x.yml", "x.yml", ""},
		{"the directory's scenario", []string{"a.yaml", "scenario.yaml", "z.yaml"}, "", "scenario.yaml", ""},
		{"the only one", []string{"a.yaml", "a.md", "b.yml"}, "", "a.yaml", ""},
		{"one of several", []string{"b.yaml", "a.yaml"}, "", "", "no scenario.yaml in DIR, but more than one file that ends in .yaml (a.yaml, b.yaml); name one of them"},
		{"none", []string{"a.md"}, "", "", "no scenario in DIR, which has neither scenario.yaml nor another file that ends in .yaml; name the scenario's file"},
		{"nothing there", nil, "none.yaml", "", "no scenario DIR/none.yaml; name a file, or a directory that has a scenario.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range tt.files {
				write(t, filepath.Join(dir, name), good)
			}
			s, err := scenario.Load(filepath.Join(dir, tt.path))
			if tt.err != "" {
				if err == nil || !strings.Contains(strings.ReplaceAll(filepath.ToSlash(err.Error()), filepath.ToSlash(dir), "DIR"), tt.err) {
					t.Errorf("error is %v\nwant %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Path() != filepath.Join(dir, tt.want) || s.Dir() != dir {
				t.Errorf("path %s, dir %s", s.Path(), s.Dir())
			}
		})
	}
	if _, err := scenario.Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("errors.Is(%v, fs.ErrNotExist) is false", err)
	}
}

func TestLoadLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	prompt := []byte("---\nmodel: m\n---\nBe brief.")
	write(t, filepath.Join(outside, "p.md"), prompt)
	write(t, filepath.Join(outside, "s.yaml"), []byte(small))
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "in", "p.md"), prompt)
	for name, target := range map[string]string{
		"within.md":     filepath.Join("in", "p.md"),
		"out.md":        filepath.Join(outside, "p.md"),
		"outdir":        outside,
		"named.yaml":    filepath.Join(outside, "s.yaml"),
		"nowhere.yaml":  "none.yaml",
		"in/found.yaml": filepath.Join(outside, "s.yaml"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("links cannot be made here: %v", err)
		}
	}
	agent := func(prompt string) error {
		_, err := scenario.Parse(filepath.Join(dir, "s.yaml"), []byte(small+"agents:\n- {name: a, prompt: "+prompt+"}\n"))
		return err
	}
	if err := agent("within.md"); err != nil {
		t.Errorf("a link within the directory: %v", err)
	}
	for _, name := range []string{"out.md", "outdir/p.md"} {
		const want = "it must be a file in the scenario's directory, reached by no link that leads out of it"
		if err := agent(name); err == nil || !strings.Contains(err.Error(), "s.yaml:5:21: cannot read the prompt") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if _, err := scenario.Load(filepath.Join(dir, "named.yaml")); err != nil {
		t.Errorf("a link that was named: %v", err)
	}
	if _, err := scenario.Load(filepath.Join(dir, "in")); err == nil || !strings.Contains(err.Error(), "not a link to elsewhere") {
		t.Errorf("a link that was found: error is %v", err)
	}
	if _, err := scenario.Load(filepath.Join(dir, "nowhere.yaml")); err == nil || !strings.Contains(err.Error(), "is a link to none.yaml, which cannot be followed") {
		t.Errorf("a link to nowhere: error is %v", err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	valid, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(valid) == 0 {
		f.Fatalf("valid scenarios: %v, %v", valid, err)
	}
	for _, path := range valid {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("&a [*a]"))
	f.Add([]byte("--- ~\n"))
	f.Add([]byte("? - - {a: !b c}\n: |\n  x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := scenario.Parse("testdata/valid/s.yaml", data)
		if err == nil {
			if s.Script != nil {
				if _, err := s.Script.Answers.Model(scripted.Options{}); err != nil {
					t.Errorf("a script that was read cannot be played: %v", err)
				}
			}
			if err := fitsSchema(t, data); err != nil {
				t.Errorf("a scenario that was read does not fit the schema: %v", err)
			}
			return
		}
		e, ok := errors.AsType[*scenario.Error](err)
		if !ok {
			t.Fatalf("error is %T: %v", err, err)
		}
		for _, p := range e.Problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.Contains(p.Message, "\n") {
				t.Errorf("problem is %+v", p)
			}
		}
	})
}
