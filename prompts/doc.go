// Package prompts keeps what models are told in files, with declared variables.
//
// A prompt is a text file that begins with front matter, YAML between two lines of three dashes:
//
//	---
//	name: triage
//	description: First look at an alert.
//	version: 3
//	model: gpt-4.1-mini
//	parameters: {temperature: 0.2, maxTokens: 800}
//	variables:
//	  service: {type: string, description: The service that the alert is about}
//	  alerts:  {type: list}
//	  terse:   {type: boolean, default: false}
//	---
//	You look after {{ .service }}.
//	{{ range .alerts }}- {{ .title }}
//	{{ end }}{{ if .terse }}Answer in one sentence.{{ end }}
//	{{ template "house-style" . }}
//
// [Load] reads one, [LoadDir] a directory of them, and [Parse] the bytes of one, such as embedded ones. [Text]
// makes a prompt of a string in the code. [Prompt.Render] and [Render] fill in the variables.
//
// # Front matter
//
// All keys are optional, unknown ones are errors. Without a name, a prompt is called like its file, without the
// extension. model is the one that the prompt was written for, and parameters ([Params]) are what it should be asked
// with: temperature, topP, maxTokens, seed, stop, toolChoice, parallelToolCalls and reasoningEffort. Whether to
// follow them is the caller's choice.
//
// A variable has a type (string, number, integer, boolean, list or object) and may have a description. It must be
// given unless it has a default or says "required: false"; without a default it is then empty: "", 0, false, an
// empty list or object.
//
// # Body
//
// The body is a template in the syntax of text/template, of which five things remain: variables ({{ .name }}, and
// {{ .object.field }}), if and else, range, template, and the functions and, or, not, eq and ne for conditions. Lists and
// objects are written as JSON. Blank lines around the body are not part of it. To get two braces, write {{ "{{" }}.
//
// What can be found out early is: a variable that is used but not declared, or a range over something that is no
// list, is an error of loading, with file and line. A variable that is missing, unknown or of the wrong type is an
// error of rendering that names it, so that no model is ever called with a hole in its instructions.
//
// # Partials
//
// {{ template "house-style" . }} puts in another prompt of the same library, and {{ template "house-style@2" . }} a
// certain version of it. A partial gets all variables, within range as {{ template "house-style" $ }}. It declares
// those that it uses, and the prompt has them too: a declaration of its own counts before the partial's, and must be
// of the same type. A partial that is not there, and partials that include one another, are errors of loading, with
// file and line.
//
// # Versions
//
// A library may have several versions of a prompt side by side, in a file each:
//
//	prompts/triage@2.md      # name triage, version 2
//	prompts/triage@3.md
//
// A version has letters, digits, dots, dashes and underscores. What the front matter says of name and version need
// not be in the file's name; where both say the version it is the same one. [Library.Get] gives the newest ("triage") or a certain one ("triage@2"). A prompt that has several
// versions has none without.
//
// # Identity
//
// [Prompt.Hash] is that of the whole file, and of the partials that it includes. It is the same on systems with
// other line ends.
//
// # While prompts are written
//
// [LoadDev] gives a library that takes up edits while the program runs, and stays as it was where they are not
// finished.
package prompts
