package models

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in billionths of a US dollar. It is an exact integer: sums of
// many small costs come out right, whatever their order. It holds amounts up to nine
// billion dollars.
//
// As text and as JSON it is a decimal number of dollars, such as 2.5, which is read
// and written exactly; JSON may give it as a string, too.
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1_000_000_000

// ParseMoney reads a decimal number of dollars with up to nine digits after the
// point: "2.50", "0.000075", "-1".
func ParseMoney(s string) (Money, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, part, point := strings.Cut(digits, ".")
	if whole == "" || point && part == "" || !onlyDigits(whole) || !onlyDigits(part) {
		return 0, fmt.Errorf("%q is no amount of dollars: write a decimal number such as 2.50", OneLine(s, 40))
	}
	if part = strings.TrimRight(part, "0"); len(part) > 9 {
		return 0, fmt.Errorf("%s dollars have more than nine digits after the point", OneLine(s, 40))
	}
	sign := ""
	if negative {
		sign = "-"
	}
	n, err := strconv.ParseInt(sign+whole+part+strings.Repeat("0", 9-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s dollars are more than can be counted", OneLine(s, 40))
	}
	return Money(n), nil
}

func onlyDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// decimal writes the amount exactly, with at least so many digits after the point.
func (m Money) decimal(least int) string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n // right for the smallest one, too
	}
	part := fmt.Sprintf("%09d", n%uint64(Dollar))
	for len(part) > least && part[len(part)-1] == '0' {
		part = part[:len(part)-1]
	}
	if part == "" {
		return sign + strconv.FormatUint(n/uint64(Dollar), 10)
	}
	return sign + strconv.FormatUint(n/uint64(Dollar), 10) + "." + part
}

// String writes the amount exactly, with at least two digits after the point:
// "$1.50", "$0.000075".
func (m Money) String() string {
	s := m.decimal(2)
	if m < 0 {
		return "-$" + s[1:]
	}
	return "$" + s
}

// Add returns the sum, or an error if it is more than can be counted.
func (m Money) Add(n Money) (Money, error) {
	if n > 0 && m > math.MaxInt64-n || n < 0 && m < math.MinInt64-n {
		return 0, fmt.Errorf("%s and %s are more than can be counted", m, n)
	}
	return m + n, nil
}

// MarshalText writes a decimal number of dollars.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.decimal(0)), nil }

// UnmarshalText reads a decimal number of dollars, see [ParseMoney].
func (m *Money) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoney(string(text))
	return err
}

// MarshalJSON writes a decimal number of dollars.
func (m Money) MarshalJSON() ([]byte, error) { return m.MarshalText() }

// UnmarshalJSON reads a decimal number of dollars, or a string that is one.
func (m *Money) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil // as encoding/json does
	}
	text := string(data)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	return m.UnmarshalText([]byte(text))
}
