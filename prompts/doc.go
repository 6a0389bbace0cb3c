// Package prompts keeps what models are told in files, with declared variables.
//
// A prompt is a text file that begins with front matter, YAML between two lines of three dashes:
//
//	---
//	name: triage
//	description: First look at an alert.
//	version: 3
//	model: gpt-4.1-mini
//	variables:
//	  service: {type: string, description: The service that the alert is about}
//	  alerts:  {type: list}
//	  terse:   {type: boolean, default: false}
//	---
//	You look after {{ .service }}.
//	{{ range .alerts }}- {{ .title }}
//	{{ end }}{{ if .terse }}Answer in one sentence.{{ end }}
//
// [Load] reads one, [LoadDir] a directory of them, and [Parse] the bytes of one, such as embedded ones. [Text]
// makes a prompt of a string in the code. [Prompt.Render] and [Render] fill in the variables.
//
// # Front matter
//
// All keys are optional, unknown ones are errors. Without a name, a prompt is called like its file, without the
// extension. version is a label, text or a whole number. model is the one that the prompt was written for;
// whether to follow it is the caller's choice.
//
// A variable has a type (string, number, integer, boolean, list or object) and may have a description. It must be
// given unless it has a default or says "required: false"; without a default it is then empty: "", 0, false, an
// empty list or object.
//
// # Body
//
// The body is a template in the syntax of text/template, of which four things remain: variables ({{ .name }}, and
// {{ .object.field }}), if and else, range, and the functions and, or, not, eq and ne for conditions. Lists and
// objects are written as JSON. Blank lines around the body are not part of it. To get two braces, write {{ "{{" }}.
//
// What can be found out early is: a variable that is used but not declared, or a range over something that is no
// list, is an error of loading, with file and line. A variable that is missing, unknown or of the wrong type is an
// error of rendering that names it, so that no model is ever called with a hole in its instructions.
//
// # Identity
//
// [Prompt.Hash] is that of the whole file. It is the same on systems with other line ends.
package prompts
