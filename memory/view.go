package memory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// View says what of a conversation a model is told. It is small, can be stored and
// passed on, and changes nothing: people read the whole conversation all the same. The
// zero View tells all of it.
//
// Whatever a view leaves out, it keeps the first message, if a user's or the program's,
// and all that is pinned ([PinMessages]); a tool's result is never told without the call,
// and no call without a result.
type View struct {
	// Agent is who looks. With several agents in one conversation, Others says how the
	// answers of other ones are told, and Agents, if not empty, which other ones are told
	// at all. "" sees all answers as its own.
	Agent  string   `json:"agent,omitempty"`
	Others Others   `json:"others,omitempty"`
	Agents []string `json:"agents,omitempty"`
	// Roles, if not empty, are the roles that are told. Without [models.RoleTool] there are
	// neither calls nor results.
	Roles []models.Role `json:"roles,omitempty"`
	// Window leaves out all but the last messages, so many at most; 0 is no limit.
	Window int `json:"window,omitempty"`

	// Before is the position before which Summary, a message, stands for what was said.
	Before  int         `json:"before,omitempty"`
	Summary durable.Ref `json:"summary,omitzero"`
	// Marks is how many edits, redactions and pins the summary knows of. It is not used
	// any more when later ones have changed what it is of.
	Marks int `json:"marks,omitempty"`
	// Cleared is the position before which long results of tools are told as a short note.
	Cleared int `json:"cleared,omitempty"`
}

// Others says how a [View] tells the answers of other agents.
type Others string

// How other agents are told.
const (
	OthersText   Others = ""       // their texts, as messages of a user, with the agent's name
	OthersCalls  Others = "calls"  // their texts, calls and results likewise
	OthersOwn    Others = "own"    // as the agent's own
	OthersHidden Others = "hidden" // not at all
)

// Read gives what a model is told of the conversation. It reads no more than that, wherever
// it lies. It is an error where something is missing: nothing is left out by mistake.
func (v View) Read(load Loader, h Head) ([]models.Message, error) {
	t, err := v.tell(load, h)
	if err != nil {
		return nil, err
	}
	return t.messages(), nil
}

// told is what a view tells, in units that are told whole or not at all.
type told struct {
	View    // without a summary that is void
	marks   *marks
	first   []unit // the first message, if the rest begins after it
	summary []models.Message
	pinned  []unit // before the rest
	rest    []unit // from position start to the end, without a gap
	start   int
}

// unit is the messages of the positions from <= at < to: a call with its results, or one
// message.
type unit struct {
	from, to int
	agent    string
	list     []models.Message // as the conversation has them, then as they are told
	keep     bool             // pinned, or the first message: always told, in full
}

func (t *told) messages() (out []models.Message) {
	for _, u := range t.first {
		out = append(out, u.list...)
	}
	out = append(out, t.summary...)
	for _, u := range t.pinned {
		out = append(out, u.list...)
	}
	for i := range t.rest {
		out = append(out, t.rest[i].at(t.Cleared)...)
	}
	return out
}

// at gives a unit as it is told when results before a position are cleared.
func (u *unit) at(cleared int) []models.Message {
	if u.keep || u.to > cleared {
		return u.list
	}
	return u.short()
}

// short is a unit with long results as notes.
func (u *unit) short() []models.Message {
	list := slices.Clone(u.list)
	for i, m := range list {
		if m.Role != models.RoleTool {
			continue
		}
		if note := clearedNote(m); 2*len(note) < len(m.Content) || len(m.Images) > 0 {
			list[i].Content, list[i].Images = note, nil
		}
	}
	return list
}

func clearedNote(m models.Message) string {
	return fmt.Sprintf("[result left out, %d bytes: call %s again, for less of it, if you need it]", len(m.Content), m.Name)
}

func (v View) tell(load Loader, h Head) (*told, error) {
	m, err := loadMarks(load, h)
	if err != nil {
		return nil, err
	}
	if v.Before < 0 || v.Before > h.Length {
		return nil, fmt.Errorf("conversation: the view begins at position %d, and there are %d messages", v.Before, h.Length)
	}
	if v.stale(m) {
		v.Before, v.Summary, v.Marks = 0, durable.Ref{}, 0
	}
	t := &told{View: v, marks: m, start: v.Before}
	if v.Window > 0 {
		t.start = max(t.start, h.Length-v.Window)
	}
	if !v.Summary.IsZero() {
		s, err := Message(load, v.Summary)
		if err != nil {
			return nil, fmt.Errorf("the summary of the conversation: %w", err)
		}
		t.summary = []models.Message{s}
	}
	list, err := entries(load, h, t.start)
	if err != nil {
		return nil, err
	}
	if t.rest, err = t.units(load, t.start, list); err != nil {
		return nil, err
	}
	if t.start > 0 && len(t.rest) > 0 && len(t.rest[0].list) == 0 { // the window begins within a unit
		t.start, t.rest = t.rest[0].to, t.rest[1:]
	}
	if t.start > 0 {
		if err := t.kept(load, h); err != nil {
			return nil, err
		}
	} else if len(t.rest) > 0 && isTask(t.rest[0].list) {
		t.rest[0].keep = true
	}
	for _, units := range [][]unit{t.first, t.pinned, t.rest} {
		for i := range units {
			if u := &units[i]; len(u.list) > 0 {
				u.list = t.seen(u)
			}
		}
	}
	return t, nil
}

// stale reports whether something that the summary is of was edited or redacted since.
func (v View) stale(m *marks) bool {
	return !v.Summary.IsZero() && (v.Marks < 0 || v.Marks > len(m.list) || slices.ContainsFunc(m.list[v.Marks:], func(x Mark) bool {
		return x.At < v.Before && (x.Kind == Edited || x.Kind == Redacted)
	}))
}

// kept reads what is told of the messages before the start.
func (t *told) kept(load Loader, h Head) error {
	first := h.First
	if first.IsZero() { // a head of a version that did not note it
		all, err := entries(load, h, 0)
		if err != nil {
			return err
		}
		first = all[0].ref
	}
	units, err := t.units(load, 0, []entry{{ref: first}})
	if err != nil {
		return err
	}
	if isTask(units[0].list) {
		units[0].keep = true
		t.first = units
	}
	var at []int
	for p, s := range t.marks.now {
		if s.pinned && p < t.start && (p > 0 || t.first == nil) {
			at = append(at, p)
		}
	}
	slices.Sort(at)
	for len(at) > 0 { // a run of positions at a time
		n := 1
		for n < len(at) && at[n] == at[0]+n {
			n++
		}
		run := make([]entry, n)
		for i := range run {
			run[i] = t.marks.now[at[i]].entry
		}
		units, err := t.units(load, at[0], run)
		if err != nil {
			return err
		}
		t.pinned, at = append(t.pinned, units...), at[n:]
	}
	return nil
}

// isTask reports whether a conversation begins with instructions or a question.
func isTask(list []models.Message) bool {
	return len(list) == 1 && (list[0].Role == models.RoleUser || list[0].Role == models.RoleSystem)
}

// units reads messages that follow each other, and groups them. A result of which the
// call is not there is in a unit that tells nothing.
func (t *told) units(load Loader, from int, list []entry) (out []unit, err error) {
	for i, e := range list {
		it, err := t.marks.item(load, from+i, e)
		if err != nil {
			return nil, err
		}
		m := it.Message
		if m.Role == models.RoleTool && len(out) > 0 {
			u := &out[len(out)-1]
			u.to, u.keep = it.At+1, u.keep || it.Pinned
			u.list = append(u.list, m)
			continue
		}
		out = append(out, unit{from: it.At, to: it.At + 1, agent: it.Agent, list: []models.Message{m}, keep: it.Pinned})
	}
	for i := range out {
		out[i].list = paired(out[i].list)
	}
	return out, nil
}

// noResult stands for the result of a call that has none.
const noResult = "[no result of this call was recorded]"

// paired gives the messages of a unit with one result for each call, and no other.
func paired(list []models.Message) []models.Message {
	if list[0].Role == models.RoleTool {
		return nil
	}
	out := slices.Clip(list[:1])
	open := slices.Clone(list[0].ToolCalls)
	for _, m := range list[1:] {
		i := slices.IndexFunc(open, func(c models.ToolCall) bool { return c.ID == m.ToolCallID })
		if i >= 0 {
			out, open = append(out, m), slices.Delete(open, i, i+1)
		}
	}
	for _, c := range open {
		out = append(out, models.ToolMessage(c, noResult))
	}
	return out
}

// seen gives a unit as the view's agent sees it.
func (t *told) seen(u *unit) []models.Message {
	list := u.list
	if other := u.agent != "" && u.agent != t.Agent && t.Agent != ""; other && list[0].Role == models.RoleAssistant {
		switch {
		case t.Others == OthersHidden, len(t.Agents) > 0 && !slices.Contains(t.Agents, u.agent):
			return nil
		case t.Others != OthersOwn:
			list = retold(u.agent, list, t.Others == OthersCalls)
		}
	}
	if len(t.Roles) == 0 {
		return list
	}
	var out []models.Message
	for _, m := range list {
		if !slices.Contains(t.Roles, models.RoleTool) {
			m.ToolCalls = nil
		}
		if slices.Contains(t.Roles, m.Role) && (m.Role != models.RoleAssistant || m.Content != "" || len(m.ToolCalls) > 0) {
			out = append(out, m)
		}
	}
	if len(out) > 0 && out[0].Role == models.RoleTool { // the calls are not told, so neither are results
		return nil
	}
	return out
}

// retold makes another agent's answer a message of a user.
func retold(agent string, list []models.Message, calls bool) []models.Message {
	var b strings.Builder
	say := func(what, text string) { fmt.Fprintf(&b, "[%s]%s: %s\n", agent, what, text) }
	if list[0].Content != "" {
		say("", list[0].Content)
	}
	if calls {
		for _, c := range list[0].ToolCalls {
			say(" called "+c.Name, c.Arguments)
		}
		for _, m := range list[1:] {
			say(" was told by "+m.Name, m.Content)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	m := models.UserMessage(strings.TrimSuffix(b.String(), "\n"))
	return []models.Message{m}
}
