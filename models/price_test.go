package models

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

func TestMoney(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Money
		text string
	}{
		{"0", 0, "$0.00"}, {"2.50", 2_500_000_000, "$2.50"}, {"10", 10 * Dollar, "$10.00"}, {"0.000075", 75_000, "$0.000075"},
		{"-1.5", -1_500_000_000, "-$1.50"}, {"-0.000000001", -1, "-$0.000000001"}, {"007.10", 7_100_000_000, "$7.10"},
		{"9223372036.854775807", math.MaxInt64, "$9223372036.854775807"}, {"-9223372036.854775808", math.MinInt64, "-$9223372036.854775808"},
		{"1.0000000000", Dollar, "$1.00"},
	} {
		got, err := ParseMoney(tt.in)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("ParseMoney(%q) = %d (%s), %v; want %d (%s)", tt.in, got, got, err, tt.want, tt.text)
		}
	}
	for _, bad := range []string{"", "-", ".5", "1.", "1,5", "1e3", "+1", "--1", " 1", "0x10", "1.0000000001", "9223372036.854775808", "99999999999999999999", "1.2.3", "½"} {
		if got, err := ParseMoney(bad); err == nil {
			t.Errorf("ParseMoney(%q) = %d", bad, got)
		}
	}
	if _, err := Money(math.MaxInt64).Add(1); err == nil {
		t.Error("a sum ran over")
	}
	if _, err := Money(math.MinInt64).Add(-1); err == nil {
		t.Error("a sum ran under")
	}
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64().Draw(t, "m"))
		text, err := json.Marshal(m)
		var back Money
		if err != nil || json.Unmarshal(text, &back) != nil || back != m {
			t.Fatalf("%d is %s in JSON, and then %d", m, text, back)
		}
	})
}

func TestCost(t *testing.T) {
	prices, err := ParsePrices([]byte(`{
		"big": {"input": 2.5, "cachedInput": "1.25", "output": 10},
		"big*": {"input": 3, "output": 12},
		"big-new*": {"input": 4, "output": 16},
		"openai:*": {"input": 0.000001, "output": 0.0000005},
		"free": {"input": 0, "output": 0}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	u := Usage{InputTokens: 1000, OutputTokens: 100, CachedTokens: 400}
	for _, tt := range []struct {
		model string
		u     Usage
		want  string // "" for an error
	}{
		{"big", u, "$0.003"},
		{"big", Usage{}, "$0.00"},
		{"big-2", u, "$0.0042"},
		{"big-new-2", u, "$0.0056"},
		{"openai:x", Usage{InputTokens: 1}, "$0.000000001"}, // rounded up
		{"openai:x", Usage{InputTokens: 1, OutputTokens: 3}, "$0.000000001"},
		{"free", Usage{InputTokens: math.MaxInt64, OutputTokens: math.MaxInt64}, "$0.00"},
		{"small", u, ""},
		{"", u, ""},
		{"big", Usage{InputTokens: math.MaxInt64}, ""},
		{"big", Usage{InputTokens: -1}, ""},
		{"big", Usage{OutputTokens: 1e15}, ""},
		{"free", Usage{InputTokens: 1, CachedTokens: 2}, ""},
		{"big", Usage{OutputTokens: -1}, ""},
	} {
		got, err := prices.Cost(tt.model, tt.u)
		want, _ := ParseMoney(strings.TrimPrefix(tt.want, "$"))
		if (err != nil) != (tt.want == "") || got != want {
			t.Errorf("Cost(%q, %+v) = %s, %v; want %s", tt.model, tt.u, got, err, tt.want)
		}
	}
	if _, err := (Prices{"m": {Input: -1}}).Cost("m", u); err == nil {
		t.Error("a negative price was taken")
	}
}

// TestCostIsExact compares with arithmetic that has no limits.
func TestCostIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.OneOf(rapid.Int64Range(0, 1<<20), rapid.Int64Range(0, math.MaxInt64))
		price := Price{Input: Money(count.Draw(t, "input")), CachedInput: Money(count.Draw(t, "cachedInput")), Output: Money(count.Draw(t, "output"))}
		u := Usage{InputTokens: count.Draw(t, "in"), OutputTokens: count.Draw(t, "out")}
		u.CachedTokens = rapid.Int64Range(0, u.InputTokens).Draw(t, "cached")
		product := func(n int64, m Money) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(m))) }
		cached := price.CachedInput
		if cached == 0 {
			cached = price.Input
		}
		sum := product(u.InputTokens-u.CachedTokens, price.Input)
		sum.Add(sum, product(u.CachedTokens, cached))
		sum.Add(sum, product(u.OutputTokens, price.Output))
		sum.Add(sum, big.NewInt(999_999)).Quo(sum, big.NewInt(1_000_000))
		got, err := Prices{"m": price}.Cost("m", u)
		if !sum.IsInt64() {
			if err == nil {
				t.Fatalf("cost %s for what is more than can be counted", got)
			}
		} else if err != nil || int64(got) != sum.Int64() {
			t.Fatalf("cost %d, %v; want %s", got, err, sum)
		}
	})
}

func TestCostOf(t *testing.T) {
	prices := Prices{"a": {Input: Dollar, Output: Dollar}, "b": {Input: 2 * Dollar, Output: 2 * Dollar}}
	resp := &Response{Message: AssistantMessage("hi"), Finish: FinishStop, Usage: Usage{InputTokens: 9, OutputTokens: 1}}
	if got, err := prices.CostOf("a", resp); err != nil || got != 10_000 {
		t.Errorf("cost %s, %v", got, err)
	}
	resp.Answered = "b"
	if got, err := prices.CostOf("a", resp); err != nil || got != 20_000 {
		t.Errorf("cost of the model that answered: %s, %v", got, err)
	}
	resp.Cached = true
	if got, err := prices.CostOf("a", resp); err != nil || got != 0 {
		t.Errorf("cost from the cache: %s, %v", got, err)
	}
	if got, err := prices.CostOf("a", say("hi")); KindOf(err) != KindNoUsage {
		t.Errorf("cost of what was not reported: %s, %v", got, err)
	}
}

func TestParsePrices(t *testing.T) {
	for text, says := range map[string]string{
		`{"m": {"input": "cheap", "output": 1}}`:      "no amount",
		`{"m": {"input": -1, "output": 1}}`:           `"m" is negative`,
		`{"m": {"input": 1, "output": 1, "each": 1}}`: "each",
		`{"m": {"input": 1e-3, "output": 1}}`:         "no amount",
		`{} {}`:                                       "more behind",
		``:                                            "EOF",
	} {
		if _, err := ParsePrices([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParsePrices(%s): %v; want %q", text, err, says)
		}
	}
	// A table within a file of YAML, such as a scenario, reads exactly as well.
	var p Prices
	if err := yaml.Unmarshal([]byte("m*: {input: 2.50, cachedInput: 0.075, output: 10}\n"), &p); err != nil {
		t.Fatal(err)
	}
	if want := (Price{2_500_000_000, 75_000_000, 10 * Dollar}); p["m*"] != want {
		t.Errorf("from YAML: %+v", p)
	}
}
