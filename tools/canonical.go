package tools

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of arguments beyond their size. They keep the work that a document can cause in proportion to its
// length: schema validation computes with exact rationals, and 1e999999 is a number of a million digits.
const (
	maxDepth    = 100 // levels of nesting
	maxDigits   = 800 // characters of one number
	maxExponent = 400 // a float64 ends at 308
)

// Digest returns the hexadecimal SHA-256 of the canonical form of a call's arguments. Arguments that differ in
// white space, order of keys, escapes or the way that numbers are written have the same digest; arguments that
// mean different things never do. Empty arguments are {}.
//
// Arguments that have no canonical form, which no tool accepts, are hashed as they are, and apart from the others.
func Digest(arguments string) string {
	v, err := parse(arguments)
	if err != nil {
		sum := sha256.Sum256([]byte("invalid\x00" + arguments))
		return hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(appendCanonical(nil, v))
	return hex.EncodeToString(sum[:])
}

// parse reads one JSON value with numbers as json.Number. It refuses what different readers understand
// differently: duplicate keys, text that is not UTF-8 and unpaired surrogates. Its errors are for the model.
func parse(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not valid UTF-8")
	}
	if strings.Trim(text, " \t\r\n") == "" {
		return map[string]any{}, nil // how some models call a tool without arguments
	}
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("not valid JSON at byte %d: %w", syntax.Offset, err)
		}
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	if at := unpairedSurrogate(text); at >= 0 {
		return nil, fmt.Errorf("not valid Unicode at byte %d: \\u escape of half a surrogate pair", at)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return parseValue(dec, nil)
}

func parseValue(dec *json.Decoder, path []string) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	switch token := token.(type) {
	case json.Number:
		return token, checkNumber(string(token), path)
	case json.Delim:
		if len(path) >= maxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		var v any
		if token == '{' {
			v, err = parseObject(dec, path)
		} else {
			v, err = parseArray(dec, path)
		}
		if err != nil {
			return nil, err
		}
		_, err = dec.Token() // the closing delimiter
		return v, err
	default:
		return token, nil
	}
}

func parseObject(dec *json.Decoder, path []string) (any, error) {
	object := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not valid JSON: %w", err)
		}
		key := token.(string)
		at := append(path, key)
		if _, ok := object[key]; ok {
			return nil, fmt.Errorf("%s: the field is given twice", pointer(at))
		}
		if object[key], err = parseValue(dec, at); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func parseArray(dec *json.Decoder, path []string) (any, error) {
	array := []any{}
	for dec.More() {
		v, err := parseValue(dec, append(path, strconv.Itoa(len(array))))
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	return array, nil
}

func checkNumber(number string, path []string) error {
	if len(number) > maxDigits {
		return fmt.Errorf("%s: a number of more than %d digits", pointer(path), maxDigits)
	}
	if _, exponent, ok := cutExponent(number); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e < -maxExponent || e > maxExponent {
			return fmt.Errorf("%s: a number out of range", pointer(path))
		}
	}
	return nil
}

func cutExponent(number string) (mantissa, exponent string, ok bool) {
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return number, "", false
	}
	return number[:i], number[i+1:], true
}

// unpairedSurrogate returns the position of the first \u escape of half a surrogate pair in valid JSON, or -1.
// encoding/json replaces such a half, which would give different strings the same canonical form.
func unpairedSurrogate(text string) int {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if text[i+1] != 'u' {
			i++
			continue
		}
		r := escaped(text[i:])
		if utf16.IsSurrogate(r) {
			if utf16.DecodeRune(r, escaped(text[i+6:])) == utf8.RuneError {
				return i
			}
			i += 6
		}
		i += 5
	}
	return -1
}

// escaped returns the code unit of the \uXXXX that s begins with, or 0 if it begins with none.
func escaped(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}

// appendCanonical appends the form of RFC 8785, except that numbers keep all their digits.
func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case json.Number:
		return appendNumber(b, string(v))
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, element)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.SortedFunc(maps.Keys(v), compareUTF16) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			b = appendCanonical(b, v[key])
		}
		return append(b, '}')
	default:
		panic(fmt.Sprintf("tools: %T is no JSON value", v)) // parse makes no other
	}
}

// compareUTF16 orders keys by UTF-16 code units, RFC 8785 section 3.2.3.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// appendString escapes what RFC 8785 section 3.2.2.2 says and nothing else.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if short := strings.IndexByte("\"\\\b\f\n\r\t", c); short >= 0 {
			b = append(b, '\\', "\"\\bfnrt"[short])
		} else if c < 0x20 {
			b = fmt.Appendf(b, "\\u%04x", c)
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendNumber writes a number as ECMAScript does (RFC 8785 section 3.2.2.3), but from its decimal digits and not
// from a float64: 9007199254740993 stays what it is.
func appendNumber(b []byte, number string) []byte {
	mantissa, exponentText, _ := cutExponent(number)
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent, _ := strconv.Atoi(exponentText) // checked by checkNumber; "" is 0

	digits := strings.TrimLeft(whole+fraction, "0")
	point := exponent + len(whole) - (len(whole+fraction) - len(digits)) // where the point is, from digits' start
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return append(b, '0')
	}
	if negative {
		b = append(b, '-')
	}
	k := len(digits)
	switch {
	case k <= point && point <= 21:
		return append(append(b, digits...), bytes.Repeat([]byte{'0'}, point-k)...)
	case 0 < point && point <= 21:
		return append(append(append(b, digits[:point]...), '.'), digits[point:]...)
	case -6 < point && point <= 0:
		b = append(append(b, "0."...), bytes.Repeat([]byte{'0'}, -point)...)
		return append(b, digits...)
	}
	b = append(b, digits[0])
	if k > 1 {
		b = append(append(b, '.'), digits[1:]...)
	}
	return fmt.Appendf(b, "e%+d", point-1)
}

// pointer writes a JSON Pointer (RFC 6901). The document itself, whose pointer is empty, is "arguments".
func pointer(path []string) string {
	if len(path) == 0 {
		return "arguments"
	}
	var b strings.Builder
	for _, name := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscaper.Replace(name))
	}
	return b.String()
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")
