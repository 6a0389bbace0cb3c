package engine

// maxTurn is how many bytes of events a change set may have: beyond, they are
// written ahead. A piece makes one history row, and its commit lasts about as long
// as others can wait for it.
const maxTurn = maxRow * 3 / 4

// writeAhead lets the events so far go before the rest of the turn, as history
// rows that nothing points to until the turn's own change set writes the
// instance's row. So a turn of any size is still all or nothing, but neither lies
// in memory as a whole nor holds up the commits of others; a crash in between
// leaves rows that nobody will ever read.
func (t *turn) writeAhead() {
	ahead := &changeSet{in: t.in, events: t.cs.events}
	t.cs.events = nil
	t.e.commits.submit(ahead)
}
