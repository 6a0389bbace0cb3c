package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

func (a *app) hubCommand() *cobra.Command {
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a task hub",
		Args:  exactly("the NAME of the hub"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeHub(c.Context(), args[0], "is there",
				func(ctx context.Context, r *taskhub.Remote) error { return r.CreateHub(ctx, args[0], false) },
				func(ctx context.Context) error { return server.CreateHub(ctx, a.store, args[0]) })
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the task hubs",
		Args:  exactly(),
		RunE:  func(c *cobra.Command, _ []string) error { return a.listHubs(c.Context()) },
	}
	remove := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a task hub, with everything in it",
		Args:  exactly("the NAME of the hub"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeHub(c.Context(), args[0], "is gone",
				func(ctx context.Context, r *taskhub.Remote) error { return r.DeleteHub(ctx, args[0]) },
				func(context.Context) error { return server.DeleteHub(a.store, args[0]) })
		},
	}
	return a.group("hub", "Make, list and delete the task hubs of a store", create, list, remove)
}

// viaServer does something through the server that has the store, or by itself where
// there is none.
func (a *app) viaServer(ctx context.Context, remote func(context.Context, *taskhub.Remote) error, own func(context.Context) error) error {
	r, err := server.Dial(ctx, a.store, version())
	if err == nil {
		err = errors.Join(remote(ctx, r), r.Close())
	}
	if errors.Is(err, taskhub.ErrUnavailable) || errors.Is(err, taskhub.ErrOneHub) {
		return own(ctx)
	}
	return err
}

// changeHub makes or deletes a hub. A server that is just coming has the hub open
// and no ear yet, so it is asked again for a while.
func (a *app) changeHub(ctx context.Context, name, done string, remote func(context.Context, *taskhub.Remote) error, own func(context.Context) error) error {
	kept, err := taskhub.HubName(name)
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		err = a.viaServer(ctx, remote, own)
		var held *durable.HeldError
		if !errors.As(err, &held) || time.Since(begun) > heldPatience {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err != nil {
		return err
	}
	if a.format != formatTable {
		return a.printJSON(hubListed{kept})
	}
	return a.printText("the task hub " + kept + " " + done)
}

// hubListed is a hub in a list.
type hubListed struct {
	Name string `json:"name"`
}

func (a *app) listHubs(ctx context.Context) error {
	var names []string
	err := a.viaServer(ctx,
		func(ctx context.Context, r *taskhub.Remote) (err error) { names, err = r.Hubs(ctx); return err },
		func(context.Context) (err error) { names, err = server.Hubs(a.store); return err })
	if err != nil {
		return err
	}
	var list []hubListed
	for _, name := range names {
		list = append(list, hubListed{name})
	}
	return printList(a, list, []string{"HUB"}, func(h hubListed) []string { return []string{h.Name} })
}
