// Package shelltool makes a tool that runs programs of a list, and gives the model their output and exit code.
//
// # What it keeps to
//
// A call names a program of the list and its arguments, one by one. There is no shell: nothing in an argument is
// expanded, split or redirected. Where a shell is wanted, it is a program to put on the list. Programs are found when
// the tool is made, and never below [Config.Dir] by their name alone, where a call could have put another.
//
// The working directory is Config.Dir or a folder below it; no link leads out. The environment has what [Config.Env]
// names and nothing else. Output is bounded, the beginning and the end are kept.
//
// When the program ends, or the time is over, all of its process group is killed, the processes that it has left in
// the background too. Processes that leave the group, as daemons do, live on, but the call does not wait for them. On
// Windows a job object stands for the group, and what a program starts before it is put in there lives on as well.
//
// It is no sandbox. A program reads and writes all that the user of this process may, and one that runs others, such
// as find, git or make, makes the list as long as it likes. [Program.Check] may look at the arguments, but where the
// model is not trusted, the whole belongs into a container.
//
// # Effects
//
// The tool is [tools.Unsafe], since nobody knows what a program does. One whose programs only read may be declared
// [tools.Pure] by an option. A program that is over its time has been stopped, and the model is told: that is a result.
// A call whose context ends, with the run or the process, has an unknown outcome.
package shelltool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// What holds unless a [Config] says otherwise.
const (
	DefaultTimeout   = time.Minute
	DefaultGrace     = 2 * time.Second
	DefaultMaxOutput = 32 << 10 // bytes, 32 KiB
)

// Program is one that may be run.
type Program struct {
	// Path is where it is. Empty means that it is looked for by its name in the directories of PATH.
	Path string
	// Check, if it is given, refuses arguments. Its error is for the model.
	Check func(args []string) error
}

// Config says what may be run, and how.
type Config struct {
	// Programs may be run, by the names that the model uses.
	Programs map[string]Program
	// Dir is the working directory; a call may choose a folder below it.
	Dir string
	// Env is the programs' environment: "NAME=value", or "NAME" for the value that it has in this process. Most
	// programs want PATH and HOME. What is in it, a program can print.
	Env []string
	// Timeout is how long a program may run. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Grace is how long a program has between being asked to end and being killed. 0 means [DefaultGrace].
	Grace time.Duration
	// MaxOutput is how many bytes of output are kept, half of them from the beginning. 0 means [DefaultMaxOutput].
	MaxOutput int
}

// New makes the tool. opts take the place of what it declares. A Reconcile function is one for [json.RawMessage] and
// [tools.Result], as for [tools.Raw]. The error says what is wrong with the name or the configuration, a program that is
// not there for instance.
func New(name, description string, c Config, opts ...tools.Option) (tools.Tool, error) {
	r, err := compile(c)
	if err != nil {
		return tools.Tool{}, fmt.Errorf("tool %q: %w", name, err)
	}
	schema, err := r.schema()
	if err != nil {
		return tools.Tool{}, fmt.Errorf("tool %q: %w", name, err)
	}
	tool, err := tools.Raw(name, description, schema, func(ctx context.Context, arguments json.RawMessage) (tools.Result, error) {
		var in input
		if err := json.Unmarshal(arguments, &in); err != nil {
			return tools.Result{}, fmt.Errorf("read the arguments: %w", err)
		}
		return r.run(ctx, in)
	}, tools.Unsafe())
	if err != nil || len(opts) == 0 {
		return tool, err
	}
	return tool.With(opts...)
}

// runner is a configuration that was checked.
type runner struct {
	Config
	programs map[string]Program // with absolute paths
}

func compile(c Config) (*runner, error) {
	r := &runner{Config: c, programs: map[string]Program{}}
	if c.Timeout < 0 || c.Grace < 0 || c.MaxOutput < 0 {
		return nil, errors.New("its timeout, grace and limit of output must be positive")
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	if r.Grace == 0 {
		r.Grace = DefaultGrace
	}
	if r.MaxOutput == 0 {
		r.MaxOutput = DefaultMaxOutput
	}
	r.Env = slices.Clone(c.Env)
	for _, entry := range r.Env {
		if name, _, _ := strings.Cut(entry, "="); name == "" || strings.Contains(entry, "\x00") {
			return nil, errors.New("an entry of its environment is neither NAME=value nor NAME")
		}
	}
	if c.Dir == "" {
		return nil, errors.New("it has no working directory: set Dir")
	}
	dir, err := filepath.Abs(c.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("find its working directory: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("its working directory %s is no folder", dir)
	}
	r.Dir = dir
	if len(c.Programs) == 0 {
		return nil, errors.New("it has no programs")
	}
	for name, p := range c.Programs {
		if p.Path, err = find(name, p.Path, dir); err != nil {
			return nil, fmt.Errorf("program %q: %w", name, err)
		}
		r.programs[name] = p
	}
	return r, nil
}

// find returns the absolute path of a program.
func find(name, path, dir string) (string, error) {
	if name == "" {
		return "", errors.New("it has no name")
	}
	byName := path == ""
	if byName {
		path = name
	}
	found, err := exec.LookPath(path)
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		return "", fmt.Errorf("find it: %w", err)
	}
	real, err := filepath.EvalSymlinks(found)
	if err != nil {
		return "", fmt.Errorf("find it: %w", err)
	}
	if inside, err := filepath.Rel(dir, real); byName && err == nil && filepath.IsLocal(inside) {
		return "", errors.New("it is below the working directory, where a call could replace it: give its Path if that is meant")
	}
	if extension := strings.ToLower(filepath.Ext(found)); runtime.GOOS == "windows" && (extension == ".bat" || extension == ".cmd") {
		return "", errors.New("it is a batch file, which a shell reads the arguments of: put the program that it runs on the list")
	}
	return found, nil // not real: some programs do by their name what they do
}

// input is what the model gives.
type input struct {
	Program string   `json:"program"`
	Args    []string `json:"args"`
	Dir     string   `json:"dir"`
}

func (r *runner) schema() (json.RawMessage, error) {
	type object = map[string]any
	return json.Marshal(object{
		"type": "object",
		"properties": object{
			"program": object{"type": "string", "enum": slices.Sorted(maps.Keys(r.programs))},
			"args": object{"type": "array", "items": object{"type": "string"},
				"description": "The program's arguments, one by one. There is no shell: nothing is expanded, and there are no pipes and redirections."},
			"dir": object{"type": "string", "description": "Working directory relative to the root. Empty means the root."},
		},
		"required":             []string{"program"},
		"additionalProperties": false,
	})
}

// environment is never nil, which would mean all of this process's.
func (r *runner) environment() []string {
	env := []string{}
	for _, entry := range r.Env {
		if strings.Contains(entry, "=") {
			env = append(env, entry)
		} else if value, ok := os.LookupEnv(entry); ok {
			env = append(env, entry+"="+value)
		}
	}
	return env
}
