package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/prompts"
)

// promptDir is where prompts that a scenario names are looked for, in its directory.
const promptDir = "prompts"

// promptName is a prompt's name, and its version if there is one, rather than a path.
var promptName = regexp.MustCompile(`^[a-zA-Z0-9_.-]+(@[a-zA-Z0-9_.-]+)?$`)

// readPrompt reads a prompt from the scenario's directory, and from nowhere else.
func (c checker) readPrompt(name string) (*prompts.Prompt, string) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fmt.Sprintf("the prompt %s is not in the scenario's directory; move it there and write its path from there", quote(name))
	}
	prompt, err := c.openPrompt(name)
	if err == nil {
		return prompt, ""
	}
	var unknown *unknownPromptError
	var pathError *fs.PathError
	switch {
	case errors.As(err, &unknown):
		return nil, unknown.Error()
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Sprintf("there is no prompt %s; its path is relative to the scenario's directory", quote(name))
	case errors.As(err, &pathError):
		return nil, fmt.Sprintf("cannot read the prompt %s: %v; it must be a file in the scenario's directory, reached by no link that leads out of it", quote(name), pathError.Err)
	}
	return nil, fmt.Sprintf("the prompt is wrong: %v", err)
}

// unknownPromptError is about a name that is no prompt's in a library that could be read.
type unknownPromptError struct{ error }

// openPrompt reads a prompt by its path, or by its name if there is no such file.
func (c checker) openPrompt(name string) (*prompts.Prompt, error) {
	dir := c.Dir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file := path.Clean(name)
	prompt, err := prompts.Load(root.FS(), file)
	if !errors.Is(err, fs.ErrNotExist) || path.Ext(file) == ".md" || !promptName.MatchString(name) {
		return prompt, err
	}
	library, libraryErr := prompts.LoadDir(root.FS(), promptDir)
	if errors.Is(libraryErr, fs.ErrNotExist) {
		return nil, err // it was meant to be a path, most likely
	}
	if libraryErr != nil {
		return nil, libraryErr
	}
	if prompt, err = library.Get(name); err != nil {
		return nil, &unknownPromptError{fmt.Errorf("%w; that is in the directory %s", err, promptDir)}
	}
	return prompt, nil
}

// params are what an agent's model is asked with: what the scenario says, and else its prompt.
func params(a *Agent, prompt *prompts.Prompt) models.Params {
	var m models.Params
	if prompt != nil {
		p := prompt.Params()
		m = models.Params{
			Temperature: p.Temperature, TopP: p.TopP, MaxTokens: p.MaxTokens, Seed: p.Seed, Stop: p.Stop,
			ToolChoice: p.ToolChoice, ParallelToolCalls: p.ParallelToolCalls, ReasoningEffort: p.ReasoningEffort,
		}
	}
	if a.Temperature != nil {
		m.Temperature = a.Temperature
	}
	if a.TopP != nil {
		m.TopP = a.TopP
	}
	if a.Seed != nil {
		m.Seed = a.Seed
	}
	if a.Stop != nil {
		m.Stop = a.Stop
	}
	if a.ParallelToolCalls != nil {
		m.ParallelToolCalls = a.ParallelToolCalls
	}
	m.MaxTokens = cmp.Or(a.MaxTokens, m.MaxTokens)
	m.ToolChoice = cmp.Or(a.ToolChoice, m.ToolChoice)
	m.ReasoningEffort = cmp.Or(a.ReasoningEffort, m.ReasoningEffort)
	return m
}
