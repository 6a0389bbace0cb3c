package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// ErrToken: a token is not known, was revoked or has expired.
var ErrToken = errors.New("not a valid token")

// ErrNotFound: there is no token with that id.
var ErrNotFound = errors.New("no such token")

// Token is what is known of a token. The secret itself is not kept.
type Token struct {
	ID      string    `json:"id"` // the first characters of the secret, made by Create
	Role    Role      `json:"role"`
	Hub     string    `json:"hub"` // a hub's name as it is kept, or AllHubs
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`          // set by Create
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Revoked time.Time `json:"revoked,omitzero"` // zero: it was not
}

// A secret is prefix and the digits of 32 random bytes to the base of 62. The first idLength of
// them are the token's id: 208 bits remain that nobody is told.
const (
	prefix   = "art_"
	digits   = 43
	idLength = 8
)

// newSecret makes a secret.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	text := new(big.Int).SetBytes(b[:]).Text(62)
	return prefix + strings.Repeat("0", digits-len(text)) + text
}

// idOf gives the id of the token that a secret belongs to; false for what cannot be a secret.
func idOf(secret string) (string, bool) {
	rest, ok := strings.CutPrefix(secret, prefix)
	if !ok || len(rest) != digits {
		return "", false
	}
	for _, c := range []byte(rest) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return "", false
		}
	}
	return rest[:idLength], true
}

// record is a token as the file has it.
type record struct {
	Token
	SHA256 string `json:"sha256"` // of the secret, in hex
}

// check says what is wrong with a record; nil if nothing is.
func (r *record) check() error {
	sum, err := hex.DecodeString(r.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("token %.20q has no SHA-256", r.ID)
	}
	if len(r.ID) != idLength || r.Hub == "" || r.Created.IsZero() {
		return fmt.Errorf("token %.20q lacks its id, hub or time", r.ID)
	}
	if _, err := ParseRole(string(r.Role)); err != nil {
		return fmt.Errorf("token %s: %w", r.ID, err)
	}
	return nil
}

// accepts gives the token if the secret is its and it is valid. What is wrong with it is told only
// to those who have the secret.
func (r *record) accepts(secret string, now time.Time) (Token, error) {
	sum := sha256.Sum256([]byte(secret))
	var want []byte
	if r != nil {
		want, _ = hex.DecodeString(r.SHA256) // check has looked
	} else {
		want = make([]byte, sha256.Size)
	}
	switch same := subtle.ConstantTimeCompare(sum[:], want) == 1; {
	case r == nil || !same:
		return Token{}, fmt.Errorf("%w: it is not known here", ErrToken)
	case !r.Revoked.IsZero():
		return Token{}, fmt.Errorf("%w: %s was revoked", ErrToken, r.ID)
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		return Token{}, fmt.Errorf("%w: %s has expired", ErrToken, r.ID)
	}
	return r.Token, nil
}
