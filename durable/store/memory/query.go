package memory

import (
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
		nums := slices.Sorted(maps.Keys(d.instances))
		if q.Newest {
			slices.Reverse(nums)
		}
		for _, num := range nums {
			if after != 0 && (q.Newest && num >= after || !q.Newest && num <= after) {
				continue
			}
			if in := d.instances[num]; matches(in, &q) {
				if len(page.Instances) == limit { // so there is a next page
					page.Token = q.TokenAfter(page.Instances[limit-1].Num)
					return nil
				}
				page.Instances = append(page.Instances, copyInstance(in))
			}
		}
		return nil
	})
	return page, err
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
		(!q.Stateful || in.State != nil)
}
