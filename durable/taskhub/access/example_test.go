package access_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

func Example() {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tokens := access.Open(filepath.Join(dir, "hub.db.tokens.json"))
	secret, made, err := tokens.Create(access.Token{Role: access.Operator, Hub: "default", Note: "ci"})
	if err != nil {
		log.Fatal(err)
	}

	// The server, with each call:
	token, err := tokens.Check(secret)
	fmt.Println(token.Role, token.Covers("default"), token.Covers("other"), err)
	fmt.Println(token.Role.Includes(access.Reader), token.Role.Includes(access.Worker))

	if _, err := tokens.Revoke(made.ID); err != nil {
		log.Fatal(err)
	}
	_, err = tokens.Check(secret)
	fmt.Println(errors.Is(err, access.ErrToken))
	// Output:
	// operator true false <nil>
	// true false
	// true
}
