package store

import (
	"fmt"
	"strconv"
	"strings"
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
	Ended                      bool              // only those that ended, by that time and then by id, instead of by age
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

// Place is that of a page's last instance in the order of its query.
type Place struct {
	Num int64 // the instance's number; 0 with Query.Ended
	// With Query.Ended, when the instance ended, and its id.
	Ended time.Time
	ID    string
}

// After gives the place of the last instance of the page before, from the token;
// nil for the first page. It is for implementations of Store.
func (q *Query) After() (*Place, error) {
	if q.Token == "" {
		return nil, nil
	}
	order, rest := q.Token[:1], q.Token[1:]
	number, id, named := strings.Cut(rest, ".")
	n, err := strconv.ParseInt(number, 36, 64)
	if err != nil || n <= 0 || order != q.order() || named != q.Ended {
		return nil, fmt.Errorf("page token %q is not of this query; use the one that came with the page before", q.Token)
	}
	if q.Ended {
		return &Place{Ended: time.Unix(0, n), ID: id}, nil
	}
	return &Place{Num: n}, nil
}

// TokenAfter gives the token of a page that goes on after an instance. It is for
// implementations of Store.
func (q *Query) TokenAfter(in *Instance) string {
	if q.Ended {
		return q.order() + strconv.FormatInt(in.Completed.UnixNano(), 36) + "." + in.ID
	}
	return q.order() + strconv.FormatInt(in.Num, 36)
}

// order keeps the token of one order from being used for another.
func (q *Query) order() string {
	switch {
	case q.Ended && q.Newest:
		return "l"
	case q.Ended:
		return "e"
	case q.Newest:
		return "n"
	}
	return "o"
}
