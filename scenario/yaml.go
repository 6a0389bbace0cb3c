package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may have. The YAML package's time grows with the square of depth and of keys, so these
// are checked before it is let loose. Elements are those of all lists together.
const (
	maxSize     = 4 << 20
	maxDepth    = 100
	maxKeys     = 20_000
	maxElements = 200_000
)

// parseYAML returns the one document of a file, or nil after reporting what is wrong with it. The
// document has no anchors, aliases or tags, no keys but texts and none twice, and is at most maxDepth
// deep.
func (p *problems) parseYAML(text string) ast.Node {
	tokens := lexer.Tokenize(text)
	if !p.bounded(tokens) {
		return nil
	}
	// Duplicate keys are found by inspect, all of them.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, message := position{}, err.Error()
		if e, ok := errors.AsType[yaml.Error](err); ok {
			at, message = tokenPosition(e.GetToken()), e.GetMessage()
		}
		message = strings.ReplaceAll(message, "'\t'", "tab")
		p.add(at, "not valid YAML: %s; check indentation and brackets, and quote texts that have a colon or begin with a sign", message)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch d := doc.Body.(type) {
		case nil:
		case *ast.DirectiveNode:
			p.add(tokenPosition(d.GetToken()), "YAML directives are not supported; remove the line")
			return nil
		default:
			if body != nil {
				p.add(tokenPosition(doc.Start), "the file has a second document; put each scenario into a file of its own")
				return nil
			}
			body = d
		}
	}
	if isNull(body) {
		p.add(position{}, "the scenario is empty; it begins with version: %d", Version)
		return nil
	}
	before := len(p.list)
	p.inspect(body, 1)
	if len(p.list) > before {
		return nil
	}
	return body
}

// bounded checks tokens for what the parser must not be given.
func (p *problems) bounded(tokens token.Tokens) bool {
	var flow, block, keys, elements, line int
	for _, t := range tokens {
		if t.Position.Line != line {
			line, block = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType: // "- - - …" nests on one line
			block++
			elements++
		case token.CollectEntryType: // a comma
			elements++
		case token.MappingValueType:
			keys++
		}
		switch {
		case flow > maxDepth || block > maxDepth:
			p.add(tokenPosition(t), "nested more than %d levels deep; flatten it", maxDepth)
			return false
		case elements > maxElements:
			p.add(tokenPosition(t), "the scenario has more than %d list elements; move data out of it into files that tools read", maxElements)
			return false
		case keys > maxKeys:
			p.add(tokenPosition(t), "the scenario has more than %d keys; make several of it", maxKeys)
			return false
		}
	}
	return true
}

// inspect reports what a document must not have.
func (p *problems) inspect(node ast.Node, depth int) {
	at := nodePosition(node)
	if depth > maxDepth {
		p.add(at, "nested more than %d levels deep; flatten it", maxDepth)
		return
	}
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		p.add(at, "anchors and aliases are not supported; write the value out")
	case *ast.TagNode:
		p.add(at, "tags are not supported; remove %s", quote(n.Start.Value))
	case *ast.InfinityNode, *ast.NanNode:
		p.add(at, "%s is not a number in JSON; write a finite one, or put it in quotes", n.GetToken().Value)
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) {
			p.add(at, "%s is too large a number; put it in quotes", quote(n.Token.Value))
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			p.inspect(v, depth+1)
		}
	case *ast.MappingNode, *ast.MappingValueNode:
		first := map[string]int{}
		for _, pair := range pairs(n) {
			at := nodePosition(pair.Key)
			key, ok := keyText(pair.Key)
			line, seen := first[key]
			switch {
			case pair.Key.IsMergeKey():
				p.add(at, "merge keys are not supported; write the keys out")
			case !ok:
				p.add(at, "a key must be a text; put it in quotes")
			case seen:
				p.add(at, "duplicate key %s, first in line %d; keep one", quote(key), line)
			default:
				first[key] = at.line
			}
			p.inspect(pair.Value, depth+1)
		}
	}
}

// pairs returns the entries of a mapping, or nil.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func isNull(node ast.Node) bool {
	_, null := node.(*ast.NullNode)
	return null || node == nil
}

// keyText returns the text of a plain key; numbers and the like count as they are written.
func keyText(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	return "", false
}

// text returns the value of a node that is text.
func text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

// numberPattern is a number as JSON writes it.
var numberPattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// number returns the JSON of a node that is a number. Among those are some that the YAML package takes
// for texts though they are not quoted: 1e3, and whole numbers of more than 64 bits.
func number(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return fmt.Sprint(n.Value), true
	case *ast.FloatNode:
		text, err := json.Marshal(n.Value)
		return string(text), err == nil
	case *ast.StringNode:
		return n.Value, n.Token.Type == token.StringType && numberPattern.MatchString(n.Value)
	}
	return "", false
}

// appendJSON appends the JSON of a node that inspect found nothing wrong with, and records the places
// of all that is in it. Keys keep their order: models fill in fields in the order of their schema.
func appendJSON(b []byte, node ast.Node, at *place) []byte {
	at.position = nodePosition(node)
	if isMapping(node) {
		b = append(b, '{')
		for i, pair := range pairs(node) {
			if i > 0 {
				b = append(b, ',')
			}
			key, _ := keyText(pair.Key)
			b = append(appendString(b, key), ':')
			b = appendJSON(b, pair.Value, at.child(key))
		}
		return append(b, '}')
	}
	switch n := node.(type) {
	case *ast.SequenceNode:
		b = append(b, '[')
		for i, v := range n.Values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, v, at.element(i))
		}
		return append(b, ']')
	case *ast.BoolNode:
		return fmt.Append(b, n.Value)
	}
	if n, ok := number(node); ok {
		return append(b, n...)
	}
	if s, ok := text(node); ok {
		return appendString(b, s)
	}
	return append(b, "null"...)
}

// appendString leaves <, > and & as they are, unlike json.Marshal: models read them.
func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return append(b, `""`...) // no string fails
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// nodePosition returns where a value begins. A block mapping's own token is the colon of its first
// key.
func nodePosition(node ast.Node) position {
	switch n := node.(type) {
	case nil:
		return position{}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return nodePosition(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return nodePosition(n.Key)
	}
	return tokenPosition(node.GetToken())
}

func tokenPosition(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}
