package facts

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable"
)

// Embedder makes vectors of texts: those of texts that mean alike point the same way.
type Embedder interface {
	// Model names the model. Vectors of another one are made again.
	Model() string
	// Embed gives one vector for each text, all of one length.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}

// Options are what a [Memory] needs. Only Client must be set.
type Options struct {
	// Client gives the client of the hub that keeps the facts. It is asked when there is
	// something to do, so that tools can be made before the runtime is opened.
	Client func(ctx context.Context) (*durable.Client, error)
	// Path is the file of the search index, which may be lost at any time and shared with
	// other processes on this machine. "" keeps it in memory.
	Path string
	// Embedder, where set, finds facts by what they mean, beside those with the words that
	// were asked for. Where it fails, words alone count.
	Embedder Embedder
	// Logger is told of that; nil is slog.Default.
	Logger *slog.Logger
}

// Memory is the facts of a hub with an index to find them by. Its methods may be used
// from several goroutines.
type Memory struct {
	o     Options
	index *index
}

// New opens the index. The caller closes the memory when nothing uses it any more.
func New(o Options) (*Memory, error) {
	if o.Client == nil {
		return nil, errors.New("facts: there is no client: set Options.Client")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	x, err := openIndex(o.Path)
	if err != nil {
		return nil, err
	}
	return &Memory{o, x}, nil
}

// Close lets go of the index. The facts are in the hub.
func (m *Memory) Close() error { return m.index.close() }

// state reads the committed facts of a scope.
func (m *Memory) state(ctx context.Context, s Scope) (State, *durable.Client, error) {
	c, err := m.o.Client(ctx)
	if err != nil {
		return State{}, nil, fmt.Errorf("facts: the client of the hub: %w", err)
	}
	st, _, err := Entity.Get(ctx, c, string(s))
	if err != nil {
		return State{}, nil, fmt.Errorf("facts of %s: %w", s, err)
	}
	return st, c, nil
}

// List gives the facts of a scope, oldest first.
func (m *Memory) List(ctx context.Context, s Scope) ([]Fact, error) {
	st, _, err := m.state(ctx, s)
	return st.Facts, err
}

// Found is a fact that a search gives.
type Found struct {
	Scope Scope
	Fact  Fact
	Score float64 // higher is better; it compares within one search only
}

// Bounds of a search.
const (
	MaxLimit   = 100
	candidates = 200 // looked at by each way of searching
	batch      = 64  // texts of one call of the embedder
	fusion     = 60  // how much the first places count for, see fuse
)

// Search gives the facts of some scopes that fit a query best, at most limit (1 to
// [MaxLimit]); an empty query gives the newest. It sees every fact that was committed when
// it began, whoever wrote it.
func (m *Memory) Search(ctx context.Context, scopes []Scope, query string, limit int) ([]Found, error) {
	if limit < 1 || limit > MaxLimit {
		return nil, fmt.Errorf("facts: a limit of %d: it is 1 to %d", limit, MaxLimit)
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	nums := map[int64]Scope{}
	for _, s := range scopes {
		n, err := m.sync(ctx, s)
		if err != nil {
			return nil, err
		}
		if n != 0 {
			nums[n] = s
		}
	}
	expr := match(query)
	var vector []float32
	if expr != "" && m.o.Embedder != nil {
		var err error
		if vector, err = m.embed(ctx, nums, query); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			m.o.Logger.Warn("facts are searched by words alone", "err", err)
		}
	}
	var out []Found
	err := m.index.transact(ctx, func(c *sqlite.Conn) (err error) {
		var lists [][]int64
		for n := range nums {
			if expr == "" {
				break
			}
			words, err := byWords(c, n, expr)
			if err != nil {
				return err
			}
			lists = append(lists, words)
			if vector != nil {
				near, err := byVector(c, n, m.o.Embedder.Model(), vector)
				if err != nil {
					return err
				}
				lists = append(lists, near)
			}
		}
		out, err = found(c, nums, fuse(lists), expr == "")
		return err
	})
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), b.Fact.At.Compare(a.Fact.At), cmp.Compare(a.Fact.ID, b.Fact.ID))
	})
	return out[:min(limit, len(out))], err
}

// sync brings the index up to date with a scope. One that is ahead of what was read has
// seen a later state, as that of another process may; then that is read. If the state is
// behind even so, the hub was set back, and the index goes with it.
func (m *Memory) sync(ctx context.Context, s Scope) (n int64, err error) {
	var seen moment
	for {
		st, _, err := m.state(ctx, s)
		if err != nil {
			return 0, err
		}
		var ahead moment
		err = m.index.transact(ctx, func(c *sqlite.Conn) (err error) {
			if n, ahead, err = update(c, s, &st, false); err == nil && ahead != (moment{}) && ahead == seen {
				n, ahead, err = update(c, s, &st, true)
			}
			return err
		})
		if err != nil || ahead == (moment{}) {
			return n, err
		}
		seen = ahead
	}
}

// byWords gives the facts of a scope that have some of the words, best first.
func byWords(c *sqlite.Conn, scope int64, expr string) (list []int64, err error) {
	err = sqlitex.Execute(c, `select f.n from words join fact f on f.n = words.rowid
		where words match ?1 and f.scope = ?2 order by bm25(words, 1.0, 0.7), f.at desc limit ?3`, &sqlitex.ExecOptions{
		Args:       []any{expr, scope, candidates},
		ResultFunc: func(st *sqlite.Stmt) error { list = append(list, st.ColumnInt64(0)); return nil },
	})
	return list, err
}

// byVector gives the facts of a scope that lie next to a vector, nearest first. A scope is
// small: it looks at all of them.
func byVector(c *sqlite.Conn, scope int64, model string, to []float32) ([]int64, error) {
	type near struct {
		n   int64
		cos float64
	}
	var all []near
	err := sqlitex.Execute(c, "select f.n, v.data from fact f join vector v on v.n = f.n where f.scope = ?1 and v.model = ?2", &sqlitex.ExecOptions{
		Args: []any{scope, model},
		ResultFunc: func(st *sqlite.Stmt) error {
			b := make([]byte, st.ColumnLen(1))
			st.ColumnBytes(1, b)
			if cos := cosine(to, b); cos > 0 {
				all = append(all, near{st.ColumnInt64(0), cos})
			}
			return nil
		},
	})
	slices.SortFunc(all, func(a, b near) int { return cmp.Or(cmp.Compare(b.cos, a.cos), cmp.Compare(b.n, a.n)) })
	var list []int64
	for _, x := range all[:min(len(all), candidates)] {
		list = append(list, x.n)
	}
	return list, err
}

func cosine(a []float32, b []byte) float64 {
	if len(b) != 4*len(a) {
		return 0
	}
	var dot, aa, bb float64
	for i, x := range a {
		y := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		dot, aa, bb = dot+float64(x)*y, aa+float64(x)*float64(x), bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return dot / math.Sqrt(aa*bb)
}

// fuse scores facts by their places in several rankings, whose own scores do not compare
// (reciprocal rank fusion).
func fuse(lists [][]int64) map[int64]float64 {
	score := map[int64]float64{}
	for _, list := range lists {
		for i, n := range list {
			score[n] += 1 / float64(fusion+i+1)
		}
	}
	return score
}

// found reads the facts that have a score; with all, the newest ones whatever they have.
func found(c *sqlite.Conn, scopes map[int64]Scope, score map[int64]float64, all bool) (out []Found, err error) {
	for scope, name := range scopes {
		err := sqlitex.Execute(c, "select n, fact from fact where scope = ?1 order by at desc, n desc", &sqlitex.ExecOptions{
			Args: []any{scope},
			ResultFunc: func(st *sqlite.Stmt) error {
				x := Found{Scope: name, Score: score[st.ColumnInt64(0)]}
				if !all && x.Score == 0 {
					return nil
				}
				out = append(out, x)
				return json.Unmarshal([]byte(st.ColumnText(1)), &out[len(out)-1].Fact)
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// embed makes the vectors that facts lack, and that of the query.
func (m *Memory) embed(ctx context.Context, scopes map[int64]Scope, query string) ([]float32, error) {
	e := m.o.Embedder
	type missing struct {
		n    int64
		text string
	}
	var todo []missing
	err := m.index.transact(ctx, func(c *sqlite.Conn) error {
		for scope := range scopes {
			err := sqlitex.Execute(c, `select f.n, f.fact from fact f left join vector v on v.n = f.n and v.model = ?2
				where f.scope = ?1 and v.n is null order by f.n`, &sqlitex.ExecOptions{
				Args: []any{scope, e.Model()},
				ResultFunc: func(st *sqlite.Stmt) error {
					var f Fact
					if err := json.Unmarshal([]byte(st.ColumnText(1)), &f); err != nil {
						return err
					}
					todo = append(todo, missing{st.ColumnInt64(0), f.Text})
					return nil
				},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for part := range slices.Chunk(todo, batch) {
		texts := make([]string, len(part))
		for i, x := range part {
			texts[i] = x.text
		}
		vectors, err := vectorsOf(ctx, e, texts)
		if err != nil {
			return nil, err
		}
		err = m.index.transact(ctx, func(c *sqlite.Conn) error {
			for i, x := range part { // unless it was forgotten meanwhile, and its number taken
				if err := exec(c, `insert or replace into vector(n, model, data) select ?1, ?2, ?3
					from fact where n = ?1 and json_extract(fact, '$.text') = ?4`, x.n, e.Model(), packed(vectors[i]), x.text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	v, err := vectorsOf(ctx, e, []string{query})
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

func vectorsOf(ctx context.Context, e Embedder, texts []string) ([][]float32, error) {
	v, err := e.Embed(ctx, texts)
	if err == nil && len(v) != len(texts) {
		err = fmt.Errorf("%d vectors for %d texts", len(v), len(texts))
	}
	if err != nil {
		return nil, fmt.Errorf("embedder %s: %w", e.Model(), err)
	}
	return v, nil
}

func packed(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
