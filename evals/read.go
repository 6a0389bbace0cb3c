package evals

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// MaxRecordingBytes bounds the size of a recording that is read.
const MaxRecordingBytes = 256 << 20

// Load reads a recording from a file; see [Read].
func Load(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	defer f.Close()
	rec, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", path, err)
	}
	return rec, nil
}

// Read reads a recording and checks it. Unknown keys, another version, a payload that
// does not have its hash, and references among its parts that lead nowhere are errors
// of one line that name the line and what is there. At most [MaxRecordingBytes] are
// read.
func Read(r io.Reader) (*Recording, error) { return read(r, MaxRecordingBytes) }

func read(r io.Reader, limit int64) (*Recording, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d MiB; export a smaller run", limit>>20)
	}
	p := &parser{data: data, rec: &Recording{index: map[history.Hash][]byte{}}}
	if i := invalidUTF8(data); i >= 0 {
		return nil, p.fail(i, errors.New("not valid UTF-8; the file is damaged, export the run again"))
	}
	p.dec = json.NewDecoder(bytes.NewReader(data))
	p.dec.DisallowUnknownFields()
	if err := p.recording(); err != nil {
		return nil, err
	}
	if err := p.rec.check(); err != nil {
		return nil, err
	}
	return p.rec, nil
}

// invalidUTF8 returns the index of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// parser reads a recording part by part, so that errors can say where.
type parser struct {
	data []byte
	dec  *json.Decoder
	rec  *Recording
	path []string
}

// fail is err with its line and what is there.
func (p *parser) fail(offset int, err error) error {
	var located *readError
	if errors.As(err, &located) {
		return err
	}
	offset = min(offset, len(p.data))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, err = len(p.data), errors.New("the file ends too early; it is cut off, export the run again")
	}
	return &readError{line: 1 + bytes.Count(p.data[:offset], []byte("\n")), path: strings.TrimPrefix(strings.Join(p.path, ""), "."), err: err}
}

// readError is an error at a place in the file.
type readError struct {
	line int
	path string
	err  error
}

func (e *readError) Error() string {
	at := ""
	if e.path != "" {
		at = e.path + ": "
	}
	return fmt.Sprintf("line %d: %s%s", e.line, at, models.OneLine(strings.TrimPrefix(e.err.Error(), "json: "), 500))
}

func (e *readError) Unwrap() error { return e.err }

// here is where the next value begins.
func (p *parser) here() int {
	at := int(p.dec.InputOffset())
	for at < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[at]) >= 0 {
		at++
	}
	return at
}

// in runs f for a part of what is being read.
func (p *parser) in(part string, f func() error) error {
	p.path = append(p.path, part)
	at := p.here()
	err := f()
	if err != nil {
		err = p.fail(at, err)
	}
	p.path = p.path[:len(p.path)-1]
	return err
}

// key is a key of an object and what reads its value.
type key struct {
	name     string
	required bool
	read     func() error
}

// object reads an object with these keys.
func (p *parser) object(keys ...key) error {
	at := p.here()
	if t, err := p.dec.Token(); err != nil || t != json.Delim('{') {
		return p.fail(at, expected("an object", err))
	}
	var seen []string
	for p.dec.More() {
		at := p.here()
		t, err := p.dec.Token()
		if err != nil {
			return p.fail(at, err)
		}
		name, _ := t.(string)
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		switch {
		case i < 0:
			var names []string
			for _, k := range keys {
				names = append(names, k.name)
			}
			return p.fail(at, fmt.Errorf("unknown key %q; the keys here are %s", models.OneLine(name, 80), strings.Join(names, ", ")))
		case slices.Contains(seen, name):
			return p.fail(at, fmt.Errorf("the key %q is there twice", name))
		}
		seen = append(seen, name)
		if err := p.in("."+name, keys[i].read); err != nil {
			return err
		}
	}
	if _, err := p.dec.Token(); err != nil {
		return p.fail(p.here(), err)
	}
	for _, k := range keys {
		if k.required && !slices.Contains(seen, k.name) {
			return p.fail(at, fmt.Errorf("the key %q is missing", k.name))
		}
	}
	return nil
}

func expected(what string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("here must be %s", what)
}

// list reads an array.
func (p *parser) list(item func(i int) error) error {
	if t, err := p.dec.Token(); err != nil || t != json.Delim('[') {
		return expected("a list", err)
	}
	for i := 0; p.dec.More(); i++ {
		if err := p.in(fmt.Sprintf("[%d]", i), func() error { return item(i) }); err != nil {
			return err
		}
	}
	_, err := p.dec.Token()
	return err
}

// into reads any value. null is none.
func (p *parser) into(v any) func() error {
	return func() error {
		if at := p.here(); bytes.HasPrefix(p.data[at:], []byte("null")) {
			return errors.New("here must be a value, not null")
		}
		return p.dec.Decode(v)
	}
}

func (p *parser) recording() error {
	r := p.rec
	if !bytes.HasPrefix(bytes.TrimSpace(p.data), []byte("{")) {
		return p.fail(0, errors.New("this is no recording, which is a JSON object; write one with: agentrun runs export ID --out FILE"))
	}
	versioned := func(read func() error) func() error {
		return func() error {
			if r.Version == 0 {
				return errors.New(`a recording begins with its version: "version": 1 must come first`)
			}
			return read()
		}
	}
	if err := p.object(
		key{"version", true, p.version},
		key{"root", true, versioned(p.into(&r.Root))},
		key{"program", false, versioned(p.into(&r.Program))},
		key{"scenario", false, versioned(p.into(&r.Scenario))},
		key{"instances", true, versioned(func() error { return p.list(p.instance) })},
		key{"entities", false, versioned(func() error { return p.list(p.entity) })},
		key{"payloads", false, versioned(func() error { return p.list(p.payload) })},
	); err != nil {
		return err
	}
	if at := int(p.dec.InputOffset()); len(bytes.TrimSpace(p.data[at:])) > 0 {
		return p.fail(at, errors.New("something follows the recording; remove it"))
	}
	return nil
}

func (p *parser) version() error {
	if err := p.into(&p.rec.Version)(); err != nil {
		return err
	}
	if p.rec.Version != Version {
		return fmt.Errorf("version %d is not one that this program reads, which is %d; use the program that wrote it, or a newer one", p.rec.Version, Version)
	}
	return nil
}

func (p *parser) instance(int) error {
	in := &Instance{}
	p.rec.Instances = append(p.rec.Instances, in)
	return p.object(
		key{"id", true, p.into(&in.ID)},
		key{"name", true, p.into(&in.Name)},
		key{"version", false, p.into(&in.Version)},
		key{"parent", false, p.into(&in.Parent)},
		key{"tags", false, p.into(&in.Tags)},
		key{"status", true, p.into(&in.Status)},
		key{"executions", true, func() error {
			return p.list(func(int) error {
				x := &Execution{Events: []*Event{}}
				in.Executions = append(in.Executions, x)
				return p.object(
					key{"id", true, p.into(&x.ID)},
					key{"events", true, func() error { return p.list(func(int) error { return p.event(x) }) }},
				)
			})
		}},
	)
}

func (p *parser) event(x *Execution) error {
	ev := &Event{}
	x.Events = append(x.Events, ev)
	if err := p.into(ev)(); err != nil {
		return err
	}
	switch {
	case ev.Kind == 0:
		return errors.New("the event has no kind")
	case ev.Data != nil && !ev.DataHash.IsZero():
		return errors.New("the event has both data and dataHash; it may have one")
	}
	return nil
}

func (p *parser) entity(int) error {
	n := &Entity{}
	p.rec.Entities = append(p.rec.Entities, n)
	return p.into(n)()
}

func (p *parser) payload(int) error {
	pl := &Payload{}
	p.rec.Payloads = append(p.rec.Payloads, pl)
	if err := p.into(pl)(); err != nil {
		return err
	}
	if (pl.Text == nil) == (len(pl.Base64) == 0) {
		return errors.New("a payload has either text or base64")
	}
	data := pl.data()
	if got := history.HashOf(data); got != pl.Hash {
		return fmt.Errorf("the payload has the hash %s, not %s: it was changed, export the run again", got, pl.Hash)
	}
	if _, twice := p.rec.index[pl.Hash]; twice {
		return fmt.Errorf("the payload %s is there twice", pl.Hash)
	}
	p.rec.index[pl.Hash] = data
	return nil
}
