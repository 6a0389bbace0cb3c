package codec_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/codec"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// deflate is a codec without keys: what is stored is smaller.
type deflate struct{}

func (deflate) Encode(plain []byte) (string, []byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return "", nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return "", nil, err
	}
	err = w.Close()
	return "", b.Bytes(), err
}

func (deflate) Decode(_ string, stored []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(bytes.NewReader(stored)))
}

// A codec that compresses, between whoever uses a store and the store.
func ExampleWrap() {
	ctx := context.Background()
	plain := memory.New()
	s, err := codec.Wrap(ctx, plain, deflate{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	text := []byte(strings.Repeat("again and ", 1000))
	h := history.HashOf(text)
	if err := s.Commit(ctx, &store.Batch{Epoch: 1, Payloads: []store.Payload{{Hash: h, Data: text}}}); err != nil {
		log.Fatal(err)
	}
	stored, err := plain.Payload(ctx, h)
	fmt.Println("stored less than a tenth:", len(stored) < len(text)/10, err)
	read, err := s.Payload(ctx, h)
	fmt.Println("reads the same:", bytes.Equal(read, text), err)
	// Output:
	// stored less than a tenth: true <nil>
	// reads the same: true <nil>
}
