package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is the SHA-256 of a payload's plaintext: the name under which a store
// keeps it once, however many events refer to it.
type Hash [sha256.Size]byte

// HashOf gives the hash of a payload.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// IsZero reports whether h names no payload.
func (h Hash) IsZero() bool { return h == Hash{} }

// String gives 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText gives the same as String.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if hex.DecodedLen(len(b)) != len(h) {
		return fmt.Errorf("history: a payload hash has 64 hex digits, not %d characters", len(b))
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return fmt.Errorf("history: payload hash %q: %w", b, err)
	}
	return nil
}
