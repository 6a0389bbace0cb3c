package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/prompts"
)

// promptsDir is where prompts are unless a command says otherwise, as for scenarios.
const promptsDir = "prompts"

func (a *app) promptsCommand() *cobra.Command {
	var dir string
	list := &cobra.Command{
		Use:   "list [DIR]",
		Short: "List prompts, each version of them",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("a DIR")(c, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				dir = args[0]
			}
			return a.listPrompts(dir)
		},
	}
	show := &cobra.Command{
		Use:   "show PROMPT",
		Short: "Show a prompt: its variables, parameters, partials, hash and text",
		Args:  exactly("a PROMPT"),
		RunE:  func(_ *cobra.Command, args []string) error { return a.showPrompt(dir, args[0]) },
	}
	diff := &cobra.Command{
		Use:   "diff PROMPT PROMPT",
		Short: "Show how two prompts differ: front matter, body and partials",
		Example: `  agentrun prompts diff triage@2 triage
  agentrun prompts diff old/triage.md prompts/triage.md`,
		Args: exactly("two PROMPTs", "a second PROMPT"),
		RunE: func(_ *cobra.Command, args []string) error { return a.diffPrompts(dir, args[0], args[1]) },
	}
	var vars []string
	var file string
	render := &cobra.Command{
		Use:   "render PROMPT",
		Short: "Fill in the variables of a prompt and print it",
		Long: `Fill in the variables of a prompt and print what a model would be told.

The value of a text is taken as it is; those of other types are JSON. A variable
that is missing, not declared or of another type is an error that names it. With
-o json the text is exact, and has the name, version, hash, model and parameters
beside it.`,
		Example: `  agentrun prompts render triage --var service=checkout --var 'alerts=[{"title": "Latency"}]'
  agentrun prompts render triage@2 --vars incident.json`,
		Args: exactly("a PROMPT"),
		RunE: func(_ *cobra.Command, args []string) error { return a.renderPrompt(dir, args[0], file, vars) },
	}
	render.Flags().StringArrayVar(&vars, "var", nil, "a variable, as `NAME=VALUE`; may be given more than once")
	render.Flags().StringVar(&file, "vars", "", "`FILE` with a JSON object of variables (- reads standard input); --var goes before it")
	c := a.group("prompts", "List, show, compare and render prompts", list, show, diff, render)
	c.Long = `List, show, compare and render prompts.

A prompt is a text file that ends in .md and begins with front matter:

  ---
  version: 3
  model: gpt-4.1-mini
  parameters: {temperature: 0.2}
  variables:
    service: {type: string, description: The service that the alert is about}
    terse:   {type: boolean, default: false}
  ---
  You look after {{ .service }}.
  {{ if .terse }}Answer in one sentence.{{ end }}
  {{ template "house-style" . }}

PROMPT is NAME, which is its newest version, NAME@VERSION, or a file. Names are
looked for in the directory prompts. Versions of a prompt lie side by side, in
files like triage@2.md and triage@3.md.`
	c.PersistentFlags().StringVar(&dir, "dir", promptsDir, "`DIR` of the prompts, or one that has a directory prompts")
	return c
}

// promptFiles gives the files below path, and its name there. Names of files are then
// as the user would write them, where that can be.
func promptFiles(path string) (fs.FS, string) {
	if path = filepath.Clean(path); filepath.IsLocal(path) {
		return os.DirFS("."), filepath.ToSlash(path)
	}
	return os.DirFS(filepath.Dir(path)), filepath.Base(path)
}

func (a *app) library(dir string) (*prompts.Library, error) {
	if info, err := os.Stat(filepath.Join(dir, promptsDir)); err == nil && info.IsDir() {
		dir = filepath.Join(dir, promptsDir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usagef("there is no directory %s; say where the prompts are with --dir DIR", dir)
	}
	l, err := prompts.LoadDir(promptFiles(dir))
	if err != nil {
		return nil, usage(err)
	}
	return l, nil
}

// isPromptFile tells a file from a name.
func isPromptFile(arg string) bool {
	return filepath.Ext(arg) == ".md" || strings.ContainsAny(arg, `/`+string(filepath.Separator))
}

// prompt finds a prompt by its name or file, and how people call it.
func (a *app) prompt(dir, arg string) (p *prompts.Prompt, called string, err error) {
	if isPromptFile(arg) {
		fsys, name := promptFiles(arg)
		if p, err = prompts.Load(fsys, name); errors.Is(err, fs.ErrNotExist) {
			return nil, "", usagef("there is no file %s; a prompt is NAME, NAME@VERSION or a file", arg)
		}
		if err != nil {
			return nil, "", usage(err)
		}
		return p, arg, nil
	}
	l, err := a.library(dir)
	if err != nil {
		return nil, "", err
	}
	if p, err = l.Get(arg); err != nil {
		return nil, "", usage(err)
	}
	return p, p.Ref(), nil
}

// promptListed is a prompt in a list.
type promptListed struct {
	Name        string         `json:"name"`
	Version     string         `json:"version,omitempty"`
	Description string         `json:"description,omitempty"`
	Model       string         `json:"model,omitempty"`
	Parameters  prompts.Params `json:"parameters,omitzero"`
	Variables   []promptVar    `json:"variables"`
	Hash        string         `json:"hash"`
	File        string         `json:"file"`

	ref string
}

type promptVar struct {
	Name        string       `json:"name"`
	Type        prompts.Type `json:"type"`
	Required    bool         `json:"required"`
	Default     any          `json:"default,omitempty"`
	Description string       `json:"description,omitempty"`
}

func listedPrompt(p *prompts.Prompt) promptListed {
	l := promptListed{Name: p.Name(), Version: p.Version(), Description: p.Description(), Model: p.Model(), Parameters: p.Params(),
		Variables: []promptVar{}, Hash: p.Hash(), File: p.File(), ref: p.Ref()}
	for _, v := range p.Variables() {
		l.Variables = append(l.Variables, promptVar(v))
	}
	return l
}

// shortHash is enough of a hash for people.
func shortHash(hash string) string { return hash[:12] }

func (a *app) listPrompts(dir string) error {
	l, err := a.library(dir)
	if err != nil {
		return err
	}
	var list []promptListed
	for _, p := range l.All() {
		list = append(list, listedPrompt(p))
	}
	return printList(a, list, []string{"PROMPT", "MODEL", "VARIABLES", "HASH", "DESCRIPTION"}, func(p promptListed) []string {
		var vars []string
		for _, v := range p.Variables {
			if v.Required {
				vars = append(vars, v.Name)
			} else {
				vars = append(vars, "["+v.Name+"]")
			}
		}
		return []string{p.ref, dash(p.Model), dash(strings.Join(vars, " ")), shortHash(p.Hash), dash(p.Description)}
	})
}

// dash keeps a cell from being empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// partialShown is a prompt that another one includes.
type partialShown struct {
	Prompt string `json:"prompt"`
	Hash   string `json:"hash"`
}

func partialsOf(p *prompts.Prompt) []partialShown {
	var list []partialShown
	for _, part := range p.Partials() {
		list = append(list, partialShown{part.Ref(), part.Hash()})
	}
	slices.SortFunc(list, func(x, y partialShown) int { return strings.Compare(x.Prompt, y.Prompt) })
	return list
}
