package tools

import "fmt"

// Effect is what repeating a call of a tool does. Its zero value is the one that promises nothing.
type Effect int

// The effects. The words in quotes are their text form, which is stored with runs.
const (
	// EffectUnsafe ("unsafe"): a second call does a second thing. A call whose outcome is unknown is never
	// repeated silently.
	EffectUnsafe Effect = iota
	// EffectPure ("pure"): a call changes nothing. Repeating it costs time only.
	EffectPure
	// EffectIdempotent ("idempotent"): calls with the same key have together the effect of one.
	EffectIdempotent
	// EffectCompensable ("compensable"): like unsafe, but another tool takes a call back.
	EffectCompensable
)

var effectNames = [...]string{"unsafe", "pure", "idempotent", "compensable"}

// Repeatable reports whether a call whose outcome is unknown may simply be made again.
func (e Effect) Repeatable() bool { return e == EffectPure || e == EffectIdempotent }

// String returns the effect's text form.
func (e Effect) String() string {
	if e < 0 || int(e) >= len(effectNames) {
		return fmt.Sprintf("Effect(%d)", int(e))
	}
	return effectNames[e]
}

// MarshalText implements [encoding.TextMarshaler].
func (e Effect) MarshalText() ([]byte, error) {
	if e < 0 || int(e) >= len(effectNames) {
		return nil, fmt.Errorf("unknown tool effect %d", int(e))
	}
	return []byte(effectNames[e]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Effect) UnmarshalText(text []byte) error {
	for i, name := range effectNames {
		if string(text) == name {
			*e = Effect(i)
			return nil
		}
	}
	return fmt.Errorf("unknown tool effect %q: use unsafe, pure, idempotent or compensable", text)
}
