package uuid

import (
	"crypto/rand"
	"io"
)

type UUID [16]byte

func (u UUID) String() string { return "" }

func New() UUID {
	var u UUID
	io.ReadFull(rand.Reader, u[:])
	return u
}

func NewString() string              { return New().String() }
func NewRandom() (UUID, error)       { return New(), nil }
func NewSHA1(ns UUID, b []byte) UUID { return ns }
func Parse(s string) (UUID, error)   { return New(), nil }
func MustParse(s string) UUID        { return UUID{} }
