package tools

import "fmt"

// Must returns t, and panics if err is not nil. It is for tools that are made while a program starts:
//
//	var search = tools.Must(theirs.With(tools.Pure(), tools.Timeout(time.Minute)))
func Must(t Tool, err error) Tool {
	if err != nil {
		panic(fmt.Sprintf("tools.Must: %v", err))
	}
	return t
}

// Named gives a tool another name than the one that it was made with, see [Tool.With].
func Named(name string) Option {
	return func(d *definition) error {
		if !namePattern.MatchString(name) {
			return fmt.Errorf("invalid name %q: it must match %s", name, namePattern)
		}
		d.name = name
		return nil
	}
}

// Described gives a tool another description than the one that it was made with, see [Tool.With].
func Described(description string) Option {
	return func(d *definition) error {
		d.description = description
		return nil
	}
}

// NeedsNoApproval takes back what [NeedsApproval] declares, see [Tool.With].
func NeedsNoApproval() Option {
	return func(d *definition) error {
		d.approval = nil
		return nil
	}
}

// With returns the tool with other declarations: those of opts take the place of what it declares. It is how a
// program corrects a tool that others made. t itself stays as it is.
//
// With another effect, what only made sense for the old one goes: the undo of a tool that is no longer compensable,
// the [Reconcile] function of one that may be repeated. The error says that opts contradict each other or the tool.
func (t Tool) With(opts ...Option) (Tool, error) {
	if t.def == nil {
		return Tool{}, errZeroTool
	}
	d := *t.def
	d.effectSet, d.reconcile = false, nil
	for _, opt := range opts {
		if err := opt(&d); err != nil {
			return Tool{}, fmt.Errorf("tool %q: %w", t.Name(), err)
		}
	}
	if d.effect != EffectCompensable {
		d.undo = nil
	}
	if d.reconcile == nil && !d.effect.Repeatable() {
		d.reconcile = t.def.reconcile
	}
	if err := d.fits(); err != nil {
		return Tool{}, fmt.Errorf("tool %q: %w", t.Name(), err)
	}
	return Tool{&d}, nil
}
