// Package access says who may do what with the task hubs of a server: roles, and the bearer tokens
// that give them.
//
// A token is for one hub or for all, has one [Role], and is shown once, when it is made. What is
// kept of it is its SHA-256, in a [File] beside the store:
//
//	tokens := access.Open("hub.db.tokens.json")
//	secret, token, err := tokens.Create(access.Token{Role: access.Operator, Hub: "default", Note: "ci"})
//
// Several processes may use the file at once. A server that checks tokens against it sees what
// another process creates and revokes with the next call:
//
//	token, err := tokens.Check(secret)
//	if err != nil {
//		return err // ErrToken: not known, revoked or expired
//	}
//	if !token.Covers(hub) || !token.Role.Includes(access.Reader) {
//		return errors.New("it may not do that")
//	}
package access
