package prompts_test

import (
	"fmt"
	"testing/fstest"

	"github.com/agentrun-dev/agentrun/prompts"
)

// A library has the house style in a prompt of its own, and two versions of a summary.
func ExampleLibrary_Get() {
	library := prompts.Must(prompts.LoadDir(fstest.MapFS{
		"prompts/house-style.md": {Data: []byte("---\nvariables:\n  words: {type: integer, default: 50}\n---\nAt most {{ .words }} words.")},
		"prompts/summary@1.md":   {Data: []byte("---\n---\nSum it up.")},
		"prompts/summary@2.md":   {Data: []byte("---\nparameters: {maxTokens: 200}\n---\nSum it up in plain words. {{ template \"house-style\" . }}")},
	}, "prompts"))
	for _, ref := range []string{"summary", "summary@1"} {
		p := prompts.Must(library.Get(ref))
		text, err := p.Render(nil)
		fmt.Println(p.Ref(), p.Params().MaxTokens, text, err)
	}
	// Output:
	// summary@2 200 Sum it up in plain words. At most 50 words. <nil>
	// summary@1 0 Sum it up. <nil>
}

// While prompts are written, a program takes up what is saved. A broken edit leaves what was there.
func ExampleLoadDev() {
	files := fstest.MapFS{"prompts/greeting.md": {Data: []byte("---\n---\nHello.")}}
	library := prompts.Must(prompts.LoadDev(files, "prompts", func(err error) { fmt.Println("not taken up:", err) }))
	for _, edit := range []string{"---\n---\nGood morning.", "---\n---\nHello {{ .name }}."} {
		files["prompts/greeting.md"] = &fstest.MapFile{Data: []byte(edit)}
		text, err := prompts.Must(library.Get("greeting")).Render(nil)
		fmt.Println(text, err)
	}
	// Output:
	// Good morning. <nil>
	// not taken up: prompts/greeting.md:3: variable name is used but not declared: add it to variables in the front matter
	// Good morning. <nil>
}
