package durable_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Encrypted encodes with AES-GCM. Its keys have ids, so that a new one can take over
// while what older ones wrote is still read.
type Encrypted struct {
	Current string
	Keys    map[string][]byte // of 32 bytes
	Hashes  []byte            // a key that never changes
}

func (e *Encrypted) aead(id string) (cipher.AEAD, error) {
	key, ok := e.Keys[id]
	if !ok {
		return nil, errors.New("there is no such key")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (e *Encrypted) Encode(plain []byte) (string, []byte, error) {
	a, err := e.aead(e.Current)
	if err != nil {
		return "", nil, err
	}
	return e.Current, a.Seal(nil, nil, plain, nil), nil
}

func (e *Encrypted) Decode(id string, stored []byte) ([]byte, error) {
	a, err := e.aead(id)
	if err != nil {
		return nil, err
	}
	return a.Open(nil, nil, stored, nil)
}

func (e *Encrypted) HashKey() []byte { return e.Hashes }

// Everything that a program stores of its data is encrypted. Without the codec the
// store is refused.
func ExampleCodec() {
	greet := durable.NewOrchestration("greet", func(ctx *durable.Context, name string) (string, error) {
		return "Hello " + name, nil
	})
	encrypted := &Encrypted{
		Current: "2026", Hashes: []byte("example key of hashes"),
		Keys: map[string][]byte{"2026": []byte("an example key, it has 32 bytes.")},
	}

	ctx := context.Background()
	s := memory.New()
	rt, err := durable.OpenStore(ctx, s, durable.Options{Codec: encrypted}, greet)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greet.Run(ctx, rt.Client(), "Ann"))
	if err := rt.Close(); err != nil {
		log.Fatal(err)
	}

	_, err = durable.OpenStore(ctx, s.Reopen(), durable.Options{}, greet)
	fmt.Println(err)
	// Output:
	// Hello Ann <nil>
	// the store was written with a codec (key "2026") and cannot be read without it: open it with that codec
}
