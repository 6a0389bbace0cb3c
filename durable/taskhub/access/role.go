package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Role is what a token allows.
type Role string

// Roles, from the one that allows least.
const (
	// Reader looks: states, histories, lists, and waiting for an end.
	Reader Role = "reader"
	// Operator starts, steers and purges instances, signals entities, and does what a Reader does.
	Operator Role = "operator"
	// Worker takes work and answers it, and does what a Reader does.
	Worker Role = "worker"
	// Admin does everything, which is also to make and delete hubs.
	Admin Role = "admin"
)

// Roles lists all roles.
func Roles() []Role { return []Role{Reader, Operator, Worker, Admin} }

// ParseRole finds a role by its name.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains(Roles(), r) {
		return r, nil
	}
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("there is no role %.40q; there are %s", name, strings.Join(names, ", "))
}

// Includes reports whether who has this role may do what needs the other. A role that does not
// exist includes nothing and is included in nothing.
func (r Role) Includes(need Role) bool {
	switch r {
	case Admin:
		return slices.Contains(Roles(), need)
	case Operator, Worker:
		return need == r || need == Reader
	case Reader:
		return need == Reader
	}
	return false
}

// AllHubs in place of a hub's name stands for every hub.
const AllHubs = "*"

// Covers reports whether the token is for a hub, whose name is as it is kept.
func (t Token) Covers(hub string) bool { return t.Hub == AllHubs || t.Hub == hub }

type contextKey struct{}

// NewContext gives the context of a call that was made with a token.
func NewContext(ctx context.Context, t Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext gives the token that a call was made with; false where none was asked for.
func FromContext(ctx context.Context) (Token, bool) {
	t, ok := ctx.Value(contextKey{}).(Token)
	return t, ok
}
