package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// Price is what a million tokens cost.
type Price struct {
	Input Money `json:"input"`
	// CachedInput is the price of input that the provider had in its own cache
	// ([Usage.CachedTokens]); 0: that of Input.
	CachedInput Money `json:"cachedInput,omitempty"`
	// Output is the price of the answer, reasoning included.
	Output Money `json:"output"`
}

// Prices is a table of prices by the names of models, as they are asked for
// ([Request.Model], [Named]). A key that ends in "*" stands for all names that begin
// with what is before it. A name that is a key of its own goes first, then the longest
// key with a "*" counts.
//
// The module brings no prices: they change, and differ from customer to customer. A
// program has a table of its own, written in Go or read by [ParsePrices].
type Prices map[string]Price

// ParsePrices reads a table from JSON, amounts in dollars per million tokens:
//
//	{"small-1": {"input": 0.4, "cachedInput": 0.1, "output": 1.6}, "large-*": {"input": 3, "output": 12}}
func ParsePrices(data []byte) (Prices, error) {
	var p Prices
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("table of prices: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("table of prices: there is more behind the table")
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := p[name].check(name); err != nil {
			return nil, fmt.Errorf("table of prices: %w", err)
		}
	}
	return p, nil
}

func (p Price) check(name string) error {
	if p.Input < 0 || p.CachedInput < 0 || p.Output < 0 {
		return fmt.Errorf("the price of model %q is negative", name)
	}
	return nil
}

// Price finds the price of a model, and says whether there is one.
func (p Prices) Price(model string) (Price, bool) {
	if price, ok := p[model]; ok {
		return price, true
	}
	best, found := "", false
	for key := range p {
		if prefix, ok := strings.CutSuffix(key, "*"); ok && strings.HasPrefix(model, prefix) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return p[best], found
}

// Cost is what an answer of the model costs that took so many tokens, rounded up to
// the next billionth of a dollar. A model without a price is an error, as is usage
// that cannot be.
func (p Prices) Cost(model string, u Usage) (Money, error) {
	price, ok := p.Price(model)
	if !ok {
		return 0, fmt.Errorf("no price for model %q: add it to the table, which has %d", model, len(p))
	}
	if err := price.check(model); err != nil {
		return 0, err
	}
	if u.CachedTokens < 0 || u.CachedTokens > u.InputTokens || u.OutputTokens < 0 {
		return 0, fmt.Errorf("usage of model %q cannot be: %d input tokens, %d of them cached, %d output tokens",
			model, u.InputTokens, u.CachedTokens, u.OutputTokens)
	}
	cached := price.CachedInput
	if cached == 0 {
		cached = price.Input
	}
	var s sum
	s.add(u.InputTokens-u.CachedTokens, price.Input)
	s.add(u.CachedTokens, cached)
	s.add(u.OutputTokens, price.Output)
	cost, ok := s.perMillion()
	if !ok {
		return 0, fmt.Errorf("the cost of %d input and %d output tokens of model %q is more than can be counted", u.InputTokens, u.OutputTokens, model)
	}
	return cost, nil
}

// CostOf is what an answer costs that was asked of model, or of the chain of that
// name: nothing if it comes from a cache, otherwise the price of the model that
// answered. An answer that does not say what it took is an [*Error] of KindNoUsage.
//
// Attempts before it that failed are not in it: nobody reports what they took.
func (p Prices) CostOf(model string, r *Response) (Money, error) {
	if r.Cached {
		return 0, nil
	}
	if err := r.CheckUsage(); err != nil {
		return 0, err
	}
	if r.Answered != "" {
		model = r.Answered
	}
	return p.Cost(model, r.Usage)
}

// sum adds up products of tokens and prices in 128 bits: none can overflow it.
type sum struct{ hi, lo uint64 }

func (s *sum) add(tokens int64, price Money) {
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// perMillion divides by a million and rounds up; false if the result is too large.
func (s *sum) perMillion() (Money, bool) {
	const million = 1_000_000
	if s.hi >= million { // the quotient would have more than 64 bits
		return 0, false
	}
	n, rest := bits.Div64(s.hi, s.lo, million)
	if rest > 0 {
		n++
	}
	return Money(n), n <= 1<<63-1
}
