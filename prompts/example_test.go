package prompts_test

import (
	"fmt"
	"testing/fstest"

	"github.com/agentrun-dev/agentrun/prompts"
)

// A program has its prompts in files: embed.FS or os.DirFS take the place of this map.
var files = fstest.MapFS{"prompts/triage.md": {Data: []byte(`---
version: 3
variables:
  service: {type: string, description: The service that the alert is about}
  alerts:  {type: list}
  terse:   {type: boolean, default: true}
---
You look after {{ .service }}.
{{ range .alerts }}- {{ .title }} since {{ .minutes }} min
{{ end }}{{ if .terse }}Answer in one sentence.{{ end }}
`)}}

func Example() {
	library := prompts.Must(prompts.LoadDir(files, "prompts"))
	triage := prompts.Must(library.Get("triage"))

	type alert struct {
		Title   string `json:"title"`
		Minutes int    `json:"minutes"`
	}
	type vars struct {
		Service string  `json:"service"`
		Alerts  []alert `json:"alerts"`
	}
	text, err := prompts.Render(triage, vars{Service: "checkout", Alerts: []alert{{"Latency", 12}, {"Errors", 3}}})
	fmt.Println(text, err)

	_, err = triage.Render(map[string]any{"alerts": "Latency"})
	fmt.Println(err)
	// Output:
	// You look after checkout.
	// - Latency since 12 min
	// - Errors since 3 min
	// Answer in one sentence. <nil>
	// prompt triage: variable alerts must be a list, not a string; variable service is missing (a string: The service that the alert is about)
}
