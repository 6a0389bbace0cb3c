package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/agentrun-dev/agentrun/durable/vet"
)

func (a *app) vetCommand() *cobra.Command {
	var tests, fix bool
	var names strings.Builder
	for _, r := range vet.Rules() {
		fmt.Fprintf(&names, "  %-10s %s\n", r.Name, r.Why)
	}
	c := &cobra.Command{
		Use:   "vet [PACKAGE...]",
		Short: "Find code that makes a replay of an orchestration differ",
		Long: `Find code that makes a replay of an orchestration differ, in packages as go build
names them; without any, in that of the working directory. It follows what
orchestrations call, through all packages, and says what to write instead.

The rules, and why:

` + names.String() + `
A line may break a rule if it says why, on itself or above:

  //durable:allow global set once, before any orchestration runs

The flags of the go command, such as -tags, are taken from $GOFLAGS. To have it
beside other checks, use it as a tool of go vet:

  go vet -vettool=$(which agentrun) ./...`,
		Example: "  agentrun vet ./...",
		RunE: func(c *cobra.Command, args []string) error {
			return a.vet(c.Context(), args, tests, fix)
		},
	}
	c.Flags().BoolVar(&tests, "tests", false, "report what is found in test files, too")
	c.Flags().BoolVar(&fix, "fix", false, "change the files where the remedy is mechanical, and report the rest")
	return c
}

// vetFinding is a line of the result.
type vetFinding struct {
	File    string `json:"file"` // relative to the working directory, if it is below
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Fixable bool   `json:"fixable"`
}

// vet has go vet run this binary on the packages: it builds what is missing, and remembers what
// was found out about packages that have not changed.
func (a *app) vet(ctx context.Context, packages []string, tests, fix bool) error {
	for _, p := range packages {
		if strings.HasPrefix(p, "-") {
			return usagef("%q is no package; flags of the go command go into $GOFLAGS", p)
		}
	}
	inTests := "-" + vet.Analyzer.Name + ".tests"
	if fix {
		if _, err := goVet(ctx, []string{"-fix", fmt.Sprintf("%s=%t", inTests, tests)}, packages); err != nil {
			return err
		}
	}
	// With the same flags each time the go command remembers more.
	out, err := goVet(ctx, []string{"-json", inTests}, packages)
	if err != nil {
		return err
	}
	found, err := readFindings(bytes.NewReader(out))
	if err != nil {
		return err
	}
	if !tests {
		found = slices.DeleteFunc(found, func(f vetFinding) bool { return strings.HasSuffix(f.File, "_test.go") })
	}
	if err := a.printFindings(found); err != nil || len(found) == 0 {
		return err
	}
	return ended(exitFailed)
}

// goVet runs go vet with this binary as its tool, and gives what that prints.
func goVet(ctx context.Context, flags, packages []string) ([]byte, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return nil, setupf("vet reads packages with the go command, and there is none: install Go")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, setupf("find this program, for go vet: %w", err)
	}
	cmd := exec.CommandContext(ctx, goTool, append(append([]string{"vet", "-vettool=" + self}, flags...), packages...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, setupf("go vet cannot read the packages (%w):\n%s", err, printable(said.String()))
	}
	return out.Bytes(), nil
}

// readFindings reads what go vet -json prints: an object for each package. A package and its
// variant with tests have the same findings, which count once.
func readFindings(r io.Reader) ([]vetFinding, error) {
	var found []vetFinding
	seen := map[vetFinding]bool{}
	for dec := json.NewDecoder(r); ; {
		var packages map[string]map[string]json.RawMessage
		if err := dec.Decode(&packages); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, setupf("read what go vet says: %w", err)
		}
		for name, analyzers := range packages {
			one, err := packageFindings(name, analyzers[vet.Analyzer.Name])
			if err != nil {
				return nil, err
			}
			for _, f := range one {
				if !seen[f] {
					seen[f] = true
					found = append(found, f)
				}
			}
		}
	}
	return found, nil
}

func packageFindings(name string, result json.RawMessage) ([]vetFinding, error) {
	if len(result) == 0 {
		return nil, nil
	}
	var list []struct {
		Category string            `json:"category"`
		Posn     string            `json:"posn"`
		Message  string            `json:"message"`
		Fixes    []json.RawMessage `json:"suggested_fixes"`
	}
	if err := json.Unmarshal(result, &list); err != nil {
		var failed struct {
			Err string `json:"error"`
		}
		if json.Unmarshal(result, &failed) == nil && failed.Err != "" {
			err = errors.New(failed.Err)
		}
		return nil, setupf("vet cannot check %s: %w", name, err)
	}
	found := make([]vetFinding, len(list))
	for i, d := range list {
		f := vetFinding{Rule: d.Category, Message: d.Message, Fixable: len(d.Fixes) > 0}
		f.File, f.Line, f.Column = splitPosition(d.Posn)
		found[i] = f
	}
	return found, nil
}

// splitPosition takes file:line:column apart.
func splitPosition(posn string) (file string, line, column int) {
	file = posn
	for _, n := range []*int{&column, &line} {
		if i := strings.LastIndexByte(file, ':'); i >= 0 {
			if v, err := strconv.Atoi(file[i+1:]); err == nil {
				file, *n = file[:i], v
			}
		}
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil && filepath.IsLocal(rel) {
			file = rel
		}
	}
	return file, line, column
}

// printFindings prints a line each, as compilers do, which editors can read.
func (a *app) printFindings(found []vetFinding) error {
	if a.format != formatTable {
		return printList(a, found, nil, func(vetFinding) []string { return nil })
	}
	for _, f := range found {
		if err := a.printText(fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)); err != nil {
			return err
		}
	}
	return nil
}

// isVetTool reports whether the go command calls this program as the tool of go vet. It asks for
// the version and the flags, and then gives one file for each package.
func isVetTool(args []string) bool {
	if len(args) == 1 && (args[0] == "-V=full" || args[0] == "-flags") {
		return true
	}
	for i, arg := range args {
		if i == len(args)-1 {
			return strings.HasSuffix(arg, ".cfg")
		}
		if !strings.HasPrefix(arg, "-") {
			return false
		}
	}
	return false
}

// vetTool is that tool. It reads the process's arguments, with none of the flags that the
// program's own packages define, and ends the process.
func vetTool() int {
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	unitchecker.Main(vet.Analyzer)
	return exitDone
}
