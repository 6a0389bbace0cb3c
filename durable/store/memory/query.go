package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Query lists instances.
func (s *Store) Query(ctx context.Context, q store.Query) (page store.Page, err error) {
	after, err := q.After()
	if err != nil {
		return page, err
	}
	limit := q.PageSize()
	err = s.read(ctx, func(d *data) error {
		for _, in := range slices.SortedFunc(maps.Values(d.instances), func(a, b *store.Instance) int { return compare(&q, placeOf(a), placeOf(b)) }) {
			if after != nil && compare(&q, placeOf(in), after) <= 0 || !matches(in, &q) {
				continue
			}
			if len(page.Instances) == limit { // so there is a next page
				page.Token = q.TokenAfter(page.Instances[limit-1])
				return nil
			}
			page.Instances = append(page.Instances, copyInstance(in))
		}
		return nil
	})
	return page, err
}

func placeOf(in *store.Instance) *store.Place {
	return &store.Place{Num: in.Num, Ended: in.Completed, ID: in.ID}
}

// compare compares places in the order of a query.
func compare(q *store.Query, a, b *store.Place) int {
	if q.Newest {
		a, b = b, a
	}
	if q.Ended {
		return cmp.Or(a.Ended.Compare(b.Ended), strings.Compare(a.ID, b.ID))
	}
	return cmp.Compare(a.Num, b.Num)
}

func matches(in *store.Instance, q *store.Query) bool {
	for k, v := range q.Tags {
		if have, ok := in.Tags[k]; !ok || have != v {
			return false
		}
	}
	return strings.HasPrefix(in.ID, "@") == q.Entities &&
		(!q.TopLevel || in.Parent == "") &&
		(q.Parent == "" || in.Parent == q.Parent) &&
		strings.HasPrefix(in.ID, q.Prefix) &&
		(len(q.Names) == 0 || slices.Contains(q.Names, in.Name)) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, in.Status)) &&
		(q.CreatedFrom.IsZero() || !in.Created.Before(q.CreatedFrom)) &&
		(q.CreatedTo.IsZero() || in.Created.Before(q.CreatedTo)) &&
		(q.CompletedFrom.IsZero() || !in.Completed.Before(q.CompletedFrom)) &&
		(q.CompletedTo.IsZero() || !in.Completed.IsZero() && in.Completed.Before(q.CompletedTo)) &&
		(q.ModifiedFrom.IsZero() || !in.Updated.Before(q.ModifiedFrom)) &&
		(q.ModifiedTo.IsZero() || in.Updated.Before(q.ModifiedTo)) &&
		(!q.Stateful || in.State != nil) &&
		(!q.Ended || !in.Completed.IsZero())
}
