package agents

// Bound makes the agent's runs continue as new after as many turns, or calls of tools.
func (a *Agent) Bound(turns, calls int) *Agent {
	a.bounds = bounds{turns, calls}
	return a
}
