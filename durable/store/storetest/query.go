package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func ids(page store.Page) (list []string) {
	for _, in := range page.Instances {
		list = append(list, in.ID)
	}
	return list
}

func testQuery(t *testing.T, e *env) {
	t.Run("conditions", func(t *testing.T) {
		h := e.open(t)
		for i, in := range []store.Instance{
			{ID: "a1", Name: "order", Status: history.Running, Tags: map[string]string{"team": "x", "o'd\"d.$": "<&>"}},
			{ID: "a2", Name: "order", Status: history.Completed, Parent: "a1", Tags: map[string]string{"team": "x", "tier": ""}},
			{ID: "b1", Name: "bill", Status: history.Failed, Tags: map[string]string{"team": "y"}},
			{ID: "A", Name: "bill", Status: history.Pending},
			{ID: "a%", Name: "odd", Status: history.Running},
			{ID: "a_", Name: "odd", Status: history.Running},
			{ID: "a\xff\xff", Name: "odd"},
			{ID: "@approval@a1", Name: "approval", State: history.Payload{}},
			{ID: "@account@a1", Name: "account", Parent: "a1"},
			{ID: "?", Name: "before"},
		} {
			in.Num, in.Created, in.Updated = int64(i+1), at(i), at(i+50)
			if in.Status.Ended() {
				in.Completed = at(100 + i)
			}
			h.commit(store.Batch{Instances: born(&in)})
		}
		type q = store.Query
		for name, c := range map[string]struct {
			q    q
			want []string
		}{
			"all":                   {q{}, []string{"a1", "a2", "b1", "A", "a%", "a_", "a\xff\xff", "?"}},
			"newest":                {q{Newest: true, Prefix: "a"}, []string{"a\xff\xff", "a_", "a%", "a2", "a1"}},
			"entities":              {q{Entities: true}, []string{"@approval@a1", "@account@a1"}},
			"entities by prefix":    {q{Entities: true, Prefix: "@approval@"}, []string{"@approval@a1"}},
			"top level":             {q{TopLevel: true, Names: []string{"order", "bill"}}, []string{"a1", "b1", "A"}},
			"children":              {q{Parent: "a1"}, []string{"a2"}},
			"children of nobody":    {q{Parent: "a"}, nil},
			"child entities":        {q{Parent: "a1", Entities: true}, []string{"@account@a1"}},
			"completed from":        {q{CompletedFrom: at(102)}, []string{"b1"}},
			"completed to":          {q{CompletedTo: at(102)}, []string{"a2"}},
			"completed between":     {q{CompletedFrom: at(101), CompletedTo: at(103)}, []string{"a2", "b1"}},
			"completed never":       {q{CompletedFrom: at(103)}, nil},
			"ended":                 {q{Ended: true}, []string{"a2", "b1"}},
			"ended, latest first":   {q{Ended: true, Newest: true}, []string{"b1", "a2"}},
			"ended to":              {q{Ended: true, CompletedTo: at(102)}, []string{"a2"}},
			"prefix with %":         {q{Prefix: "a%"}, []string{"a%"}},
			"prefix with _":         {q{Prefix: "a_"}, []string{"a_"}},
			"prefix of last bytes":  {q{Prefix: "a\xff"}, []string{"a\xff\xff"}},
			"prefix without upper":  {q{Prefix: "\xff"}, nil},
			"name":                  {q{Names: []string{"bill"}}, []string{"b1", "A"}},
			"unknown name":          {q{Names: []string{"'"}}, nil},
			"status":                {q{Statuses: []history.Status{history.Completed, history.Failed}}, []string{"a2", "b1"}},
			"from":                  {q{CreatedFrom: at(2), Prefix: "b"}, []string{"b1"}},
			"from later":            {q{CreatedFrom: at(3), Prefix: "b"}, nil},
			"to":                    {q{CreatedTo: at(1)}, []string{"a1"}},
			"between":               {q{CreatedFrom: at(1), CreatedTo: at(3)}, []string{"a2", "b1"}},
			"modified from":         {q{ModifiedFrom: at(52), Prefix: "b"}, []string{"b1"}},
			"modified from later":   {q{ModifiedFrom: at(53), Prefix: "b"}, nil},
			"modified to":           {q{ModifiedTo: at(51)}, []string{"a1"}},
			"modified between":      {q{ModifiedFrom: at(51), ModifiedTo: at(53)}, []string{"a2", "b1"}},
			"with a state":          {q{Entities: true, Stateful: true}, []string{"@approval@a1"}},
			"tag":                   {q{Tags: map[string]string{"team": "x"}}, []string{"a1", "a2"}},
			"two tags":              {q{Tags: map[string]string{"team": "x", "tier": ""}}, []string{"a2"}},
			"odd tag":               {q{Tags: map[string]string{"o'd\"d.$": "<&>"}}, []string{"a1"}},
			"tag with other value":  {q{Tags: map[string]string{"team": "z"}}, nil},
			"tag that nobody has":   {q{Tags: map[string]string{"nope": ""}}, nil},
			"everything restricted": {q{TopLevel: true, Prefix: "a", Names: []string{"order"}, Statuses: []history.Status{history.Running}, CreatedFrom: at(0), CreatedTo: at(9), Tags: map[string]string{"team": "x"}, Newest: true}, []string{"a1"}},
		} {
			t.Run(name, func(t *testing.T) {
				page := must(h.Query(t.Context(), c.q))(t)
				diff(t, "answer", c.want, ids(page))
				if page.Token != "" {
					t.Errorf("token %q after the last page", page.Token)
				}
			})
		}
	})

	t.Run("pages", func(t *testing.T) {
		h := e.open(t)
		var all []string
		var b store.Batch
		for i := range 250 {
			in := small(int64(i+1), fmt.Sprintf("r%03d", i))
			if i%5 == 4 {
				in.ID = "@" + in.ID
			} else {
				all = append(all, in.ID)
			}
			b.Instances = append(b.Instances, born(in)...)
		}
		h.commit(b)
		if page := must(h.Query(t.Context(), store.Query{}))(t); len(page.Instances) != 100 || page.Token == "" {
			t.Errorf("a page has %d instances, token %q; want 100 and a token", len(page.Instances), page.Token)
		}
		for _, limit := range []int{1, 7, 100, 199, 200, 201} {
			for _, newest := range []bool{false, true} {
				want := slices.Clone(all)
				if newest {
					slices.Reverse(want)
				}
				var got []string
				q := store.Query{Limit: limit, Newest: newest}
				for {
					page := must(h.Query(t.Context(), q))(t)
					if len(page.Instances) > limit {
						t.Fatalf("%d instances on a page of %d", len(page.Instances), limit)
					}
					got = append(got, ids(page)...)
					if q.Token = page.Token; q.Token == "" {
						break
					}
				}
				diff(t, fmt.Sprintf("by %d, newest %v", limit, newest), want, got)
			}
		}
	})

	// Many end at one time, in another order than they began.
	t.Run("pages by end", func(t *testing.T) {
		h := e.open(t)
		var want []string
		var b store.Batch
		for i := range 60 {
			in := small(int64(i+1), fmt.Sprintf("r%02d.%d", 60-i, i))
			switch {
			case i%5 == 4:
				in.ID = "@" + in.ID
				in.Completed = at(1)
			case i%5 == 3: // runs
			default:
				in.Status, in.Completed = history.Completed, at(100-i/10)
				want = append(want, in.ID)
			}
			b.Instances = append(b.Instances, born(in)...)
		}
		h.commit(b)
		slices.Reverse(want) // both the times and the ids fall
		for _, limit := range []int{1, 2, 7, 36, 100} {
			for _, newest := range []bool{false, true} {
				want := slices.Clone(want)
				if newest {
					slices.Reverse(want)
				}
				var got []string
				q := store.Query{Ended: true, Limit: limit, Newest: newest}
				for {
					page := must(h.Query(t.Context(), q))(t)
					if len(page.Instances) > limit {
						t.Fatalf("%d instances on a page of %d", len(page.Instances), limit)
					}
					got = append(got, ids(page)...)
					if q.Token = page.Token; q.Token == "" {
						break
					}
				}
				diff(t, fmt.Sprintf("by %d, newest %v", limit, newest), want, got)
			}
		}
		for _, q := range []store.Query{{Ended: true, Token: "o1"}, {Ended: true, Token: "e"}, {Ended: true, Token: "e1"}, {Token: "e1.a"}, {Ended: true, Newest: true, Token: "e1.a"}} {
			if _, err := h.Query(t.Context(), q); err == nil {
				t.Errorf("token %q, ended %v, newest %v: no error", q.Token, q.Ended, q.Newest)
			}
		}
	})

	t.Run("tokens", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{Instances: born(small(1, "a"), small(2, "b"))})
		page := must(h.Query(t.Context(), store.Query{Limit: 1}))(t)
		for _, q := range []store.Query{{Token: "?"}, {Token: "o"}, {Token: "o-1"}, {Token: page.Token, Newest: true}} {
			if _, err := h.Query(t.Context(), q); err == nil {
				t.Errorf("token %q, newest %v: no error", q.Token, q.Newest)
			}
		}
	})
}
