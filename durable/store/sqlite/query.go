package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// columns are those of an instance, in the order that scan expects.
const columns = `num, id, name, parent, origin, created, version, execution, generation, status, updated,
	completed, pending, due, first, last, events, lockedby, tags, custom, state`

func scan(st *sqlite.Stmt) (*store.Instance, error) {
	in := &store.Instance{
		Num:          st.ColumnInt64(0),
		ID:           st.ColumnText(1),
		Name:         st.ColumnText(2),
		Parent:       st.ColumnText(3),
		Origin:       st.ColumnText(4),
		Created:      columnTime(st, 5),
		Version:      st.ColumnText(6),
		Execution:    st.ColumnText(7),
		Generation:   st.ColumnInt32(8),
		Status:       history.Status(st.ColumnInt32(9)),
		Updated:      columnTime(st, 10),
		Completed:    columnTime(st, 11),
		Pending:      st.ColumnInt(12),
		Due:          columnTime(st, 13),
		First:        st.ColumnInt64(14),
		Last:         st.ColumnInt64(15),
		Events:       st.ColumnInt32(16),
		LockedBy:     st.ColumnText(17),
		CustomStatus: columnBytes(st, 19),
		State:        columnBytes(st, 20),
	}
	var err error
	if in.Tags, err = columnTags(st, 18); err != nil {
		return nil, fmt.Errorf("instance %q: %w", in.ID, err)
	}
	return in, nil
}

// Instance gives an instance's row.
func (s *Store) Instance(ctx context.Context, id string) (in *store.Instance, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		err := each(c, `select `+columns+` from instance where id = ?1`,
			func(st *sqlite.Stmt) { st.BindText(1, id) },
			func(st *sqlite.Stmt) (err error) {
				in, err = scan(st)
				return err
			})
		if err == nil && in == nil {
			err = fmt.Errorf("instance %q: %w", id, store.ErrNotFound)
		}
		return err
	})
	return in, err
}

// Query lists instances.
func (s *Store) Query(ctx context.Context, q store.Query) (page store.Page, err error) {
	text, bind, err := build(&q)
	if err != nil {
		return page, fmt.Errorf("store %s: %w", s.name, err)
	}
	limit := q.PageSize()
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, text, bind, func(st *sqlite.Stmt) error {
			if len(page.Instances) == limit { // the row beyond the page: there is a next one
				page.Token = q.TokenAfter(page.Instances[limit-1])
				return nil
			}
			in, err := scan(st)
			page.Instances = append(page.Instances, in)
			return err
		})
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// build makes the statement for a query. Its text depends only on which
// conditions there are, never on a value, so that few are ever prepared.
func build(q *store.Query) (text string, bind func(*sqlite.Stmt), err error) {
	after, err := q.After()
	if err != nil {
		return "", nil, err
	}
	b := builder{}
	// Entities are those from "@" up to "A", the character after it.
	if q.Entities {
		b.add(`id >= '@' and id < 'A'`)
	} else {
		b.add(`(id < '@' or id >= 'A')`)
	}
	if q.TopLevel {
		b.add(`parent = ''`)
	}
	if q.Parent != "" {
		b.add(`parent = ? and parent <> ''`, q.Parent) // as the index has it
	}
	if q.Prefix != "" {
		b.add(`id >= ?`, q.Prefix)
		if end, bounded := successor(q.Prefix); bounded {
			b.add(`id < ?`, end)
		}
	}
	if len(q.Names) > 0 {
		b.addJSON(`name in (select value from json_each(?))`, q.Names)
	}
	if len(q.Statuses) > 0 {
		codes := make([]int32, len(q.Statuses))
		for i, st := range q.Statuses {
			codes[i] = int32(st)
		}
		b.addJSON(`status in (select value from json_each(?))`, codes)
	}
	if !q.CreatedFrom.IsZero() {
		b.add(`created >= ?`, q.CreatedFrom)
	}
	if !q.CreatedTo.IsZero() {
		b.add(`created < ?`, q.CreatedTo)
	}
	if !q.CompletedFrom.IsZero() {
		b.add(`completed >= ?`, q.CompletedFrom)
	}
	if !q.CompletedTo.IsZero() {
		b.add(`completed < ?`, q.CompletedTo)
	}
	if !q.ModifiedFrom.IsZero() {
		b.add(`updated >= ?`, q.ModifiedFrom)
	}
	if !q.ModifiedTo.IsZero() {
		b.add(`updated < ?`, q.ModifiedTo)
	}
	if q.Stateful {
		b.add(`state is not null`)
	}
	if len(q.Tags) > 0 {
		// No wanted tag that the instance lacks.
		b.addJSON(`not exists(select 1 from json_each(?) w where not exists(
			select 1 from json_each(instance.tags) h where h.key = w.key and h.value = w.value))`, q.Tags)
	}
	beyond, way := ` > `, ``
	if q.Newest {
		beyond, way = ` < `, ` desc`
	}
	order := `num` + way
	if q.Ended {
		// No index has this order: a page reads all that ended, and keeps as many as it gives.
		order = `completed` + way + `, id` + way
		b.add(`completed is not null`)
	}
	switch {
	case after == nil:
	case q.Ended:
		b.add(`(completed, id)`+beyond+`(?, ?)`, after.Ended, after.ID)
	default:
		b.add(`num`+beyond+`?`, after.Num)
	}
	text = `select ` + columns + ` from instance where ` + strings.Join(b.where, ` and `) + ` order by ` + order + ` limit ?`
	b.values = append(b.values, int64(q.PageSize())+1)
	return text, b.bind, b.err
}

// builder collects conditions and the values of their parameters.
type builder struct {
	where  []string
	values []any
	err    error
}

func (b *builder) add(condition string, values ...any) {
	b.where = append(b.where, condition)
	b.values = append(b.values, values...)
}

// addJSON adds a condition on a list or object, which is one parameter however
// long it is.
func (b *builder) addJSON(condition string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		b.err = err
	}
	b.add(condition, string(text))
}

func (b *builder) bind(st *sqlite.Stmt) {
	for i, v := range b.values {
		switch v := v.(type) {
		case string:
			st.BindText(i+1, v)
		case int64:
			st.BindInt64(i+1, v)
		case time.Time:
			bindTime(st, i+1, v)
		}
	}
}

// successor gives the least string that is greater than all that begin with
// prefix. There is none for one that consists of the greatest byte alone.
func successor(prefix string) (string, bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1]), true
		}
	}
	return "", false
}
