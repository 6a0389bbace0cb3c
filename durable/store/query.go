package store

import (
	"fmt"
	"strconv"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Query selects instances; its zero value selects every orchestration.
type Query struct {
	Entities    bool             // entities instead of orchestrations
	TopLevel    bool             // without those that have a parent
	Parent      string           // id of the instance that started them as children; "": any
	Prefix      string           // of the id
	Names       []string         // any of these; empty: all
	Statuses    []history.Status // any of these; empty: all
	CreatedFrom time.Time        // from <= created
	CreatedTo   time.Time        // created < to
	// CompletedFrom <= completed < CompletedTo: with either, only those that ended.
	CompletedFrom, CompletedTo time.Time
	ModifiedFrom, ModifiedTo   time.Time         // from <= updated < to
	Stateful                   bool              // entities that have a state
	Tags                       map[string]string // all of these
	Newest                     bool              // newest first, instead of oldest first
	Limit                      int               // page size; 0: 100
	Token                      string            // of the page before
}

// Page is a part of a query's answer.
type Page struct {
	Instances []*Instance
	Token     string // "" at the end
}

// PageSize is how many instances a page of the answer has at most.
func (q *Query) PageSize() int {
	if q.Limit <= 0 {
		return 100
	}
	return q.Limit
}

// After gives the number of the last instance of the page before, from the
// token; 0 for the first page. It is for implementations of Store.
func (q *Query) After() (int64, error) {
	if q.Token == "" {
		return 0, nil
	}
	order, num := q.Token[:1], q.Token[1:]
	n, err := strconv.ParseInt(num, 36, 64)
	if err != nil || n <= 0 || order != q.order() {
		return 0, fmt.Errorf("page token %q is not of this query; use the one that came with the page before", q.Token)
	}
	return n, nil
}

// TokenAfter gives the token of a page that goes on after an instance. It is for
// implementations of Store.
func (q *Query) TokenAfter(num int64) string {
	return q.order() + strconv.FormatInt(num, 36)
}

// order keeps the token of one direction from being used for the other.
func (q *Query) order() string {
	if q.Newest {
		return "n"
	}
	return "o"
}
