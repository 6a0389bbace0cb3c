package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

func (a *app) tokenCommand() *cobra.Command {
	var role, hub, note string
	var expires time.Duration
	create := &cobra.Command{
		Use:   "create --role ROLE",
		Short: "Make a token and show it once",
		Long: `Make a token and show it once. What is kept of it, beside the store, is a hash.

  reader    looks: states, histories, lists, waits
  operator  starts, steers and purges runs, signals entities, and reads
  worker    takes work and answers it, and reads
  admin     everything, which is also to make and delete task hubs

A server that asks for tokens knows it at once.`,
		Example: `  agentrun token create --role worker --hub default --note build-42 --expires 720h
  agentrun token create --role admin --hub '*'`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error { return a.createToken(role, hub, note, expires) },
	}
	create.Flags().StringVar(&role, "role", "", "`ROLE`: reader, operator, worker or admin")
	create.Flags().StringVar(&hub, "hub", taskhub.DefaultHub, "`NAME` of the task hub; * is all")
	create.Flags().StringVar(&note, "note", "", "`TEXT` for the list: who has it, and what for")
	create.Flags().DurationVar(&expires, "expires", 0, "`TIME` until it is no longer valid; 0: never")
	list := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without their secrets",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return a.listTokens() },
	}
	revoke := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token invalid, at once and for good",
		Args:  exactly("the ID of the token"),
		RunE:  func(_ *cobra.Command, args []string) error { return a.revokeToken(args[0]) },
	}
	return a.group("token", "Make, list and revoke the tokens of a server's clients", create, list, revoke)
}

// tokens is the file of the store's tokens.
func (a *app) tokens() (*access.File, error) {
	path, err := server.TokenFile(a.store)
	if err != nil {
		return nil, err
	}
	return access.Open(path), nil
}

func (a *app) createToken(role, hub, note string, expires time.Duration) error {
	if role == "" {
		return usagef("a token needs --role: reader, operator, worker or admin")
	}
	r, err := access.ParseRole(role)
	if err != nil {
		return usage(err)
	}
	if hub != access.AllHubs {
		if hub, err = taskhub.HubName(hub); err != nil {
			return usage(err)
		}
	}
	if expires < 0 {
		return usagef("--expires must not be negative")
	}
	t := access.Token{Role: r, Hub: hub, Note: note}
	if expires > 0 {
		t.Expires = time.Now().Add(expires).UTC().Truncate(time.Second)
	}
	file, err := a.tokens()
	if err != nil {
		return err
	}
	secret, t, err := file.Create(t)
	if err != nil {
		return err
	}
	if a.format != formatTable {
		return a.printJSON(struct {
			Secret string `json:"token"`
			access.Token
		}{secret, t})
	}
	a.term.printf("token %s: role %s, hub %s; it is shown only now:\n", t.ID, t.Role, t.Hub)
	return a.printText(secret)
}

func (a *app) listTokens() error {
	file, err := a.tokens()
	if err != nil {
		return err
	}
	list, err := file.List()
	if err != nil {
		return err
	}
	if len(list) == 0 && a.format == formatTable {
		a.term.printf("no tokens for %s\n", a.store)
		return nil
	}
	return printList(a, list, []string{"TOKEN", "ROLE", "HUB", "STATE", "CREATED", "EXPIRES", "NOTE"}, func(t access.Token) []string {
		state, expires := "valid", "never"
		switch {
		case !t.Revoked.IsZero():
			state = "revoked"
		case !t.Expires.IsZero() && !time.Now().Before(t.Expires):
			state = "expired"
		}
		if !t.Expires.IsZero() {
			expires = moment(t.Expires)
		}
		return []string{t.ID, string(t.Role), t.Hub, state, moment(t.Created), expires, t.Note}
	})
}

func (a *app) revokeToken(id string) error {
	file, err := a.tokens()
	if err != nil {
		return err
	}
	t, err := file.Revoke(id)
	if errors.Is(err, access.ErrNotFound) {
		return usagef("there is no token %q; see %s", id, a.typed("token", "list"))
	}
	if err != nil {
		return err
	}
	if a.format != formatTable {
		return a.printJSON(t)
	}
	return a.printText("token " + t.ID + " is revoked")
}
