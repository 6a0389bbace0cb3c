package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

type none = struct{}

func nothing[In any](context.Context, In) (string, error) { return "", nil }

func TestSchema(t *testing.T) {
	type inner struct {
		A int  `json:"a"`
		B *int `json:"b"`
	}
	type base struct {
		ID string `json:"id"`
	}
	type in struct {
		base
		Required string         `json:"required" jsonschema:"enum=x,enum=y"`
		Empty    string         `json:"empty,omitempty"`
		Pointer  *string        `json:"pointer"`
		Insisted *string        `json:"insisted" jsonschema:"required"`
		Inner    inner          `json:"inner"`
		List     []inner        `json:"list"`
		Map      map[string]int `json:"map"`
		Unsigned uint8          `json:"unsigned"`
		When     time.Time      `json:"when"`
		Addr     net.IP         `json:"addr"`
		Raw      json.RawMessage
		Exact    json.Number `json:"exact"`
		hidden   int
		Ignored  func() `json:"-"`
	}
	_ = in{}.hidden
	const innerSchema = `{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"additionalProperties":false,"type":"object","required":["a"]}`
	want := `{"properties":{"id":{"type":"string"},"required":{"type":"string","enum":["x","y"]},"empty":{"type":"string"},` +
		`"pointer":{"type":"string"},"insisted":{"type":"string"},"inner":` + innerSchema + `,"list":{"items":` + innerSchema + `,"type":"array"},` +
		`"map":{"additionalProperties":{"type":"integer"},"type":"object"},"unsigned":{"type":"integer","minimum":0},"when":{"type":"string","format":"date-time"},` +
		`"addr":{"anyOf":[{"format":"ipv4"},{"format":"ipv6"}],"type":"string"},"Raw":true,"exact":{"type":"number"}},"additionalProperties":false,"type":"object",` +
		`"required":["id","required","insisted","inner","list","map","unsigned","when","addr","Raw","exact"]}`
	tool := tools.New("t", "", nothing[in])
	if diff := cmp.Diff(want, string(tool.Schema())); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	empty := tools.New("t", "", nothing[none])
	if got, want := string(empty.Schema()), `{"properties":{},"additionalProperties":false,"type":"object"}`; got != want {
		t.Errorf("schema of no arguments = %s, want %s", got, want)
	}
	tool.Schema()[0] = 'X'
	if tool.Schema()[0] != '{' {
		t.Error("the caller can change a tool's schema")
	}
}

type recursive struct {
	Children []recursive `json:"children"`
}

func TestNewPanics(t *testing.T) {
	with := func(opts ...tools.Option) func() {
		return func() { tools.New("t", "", nothing[none], opts...) }
	}
	tests := []struct {
		name string
		make func()
		want string
	}{
		{"empty name", func() { tools.New("", "", nothing[none]) }, "invalid name"},
		{"name with a space", func() { tools.New("a b", "", nothing[none]) }, "invalid name"},
		{"long name", func() { tools.New(strings.Repeat("a", 65), "", nothing[none]) }, "invalid name"},
		{"nil function", func() { tools.New[none, string]("t", "", nil) }, "function is nil"},
		{"no struct", func() { tools.New("t", "", nothing[string]) }, "not a struct"},
		{"pointer", func() { tools.New("t", "", nothing[*none]) }, "not a struct"},
		{"recursive", func() { tools.New("t", "", nothing[recursive]) }, "contains its own type"},
		{"function field", func() { tools.New("t", "", nothing[struct{ F func() }]) }, "JSON cannot carry"},
		{"interface field", func() { tools.New("t", "", nothing[struct{ E error }]) }, "JSON decodes only into"},
		{"map keys", func() { tools.New("t", "", nothing[struct{ M map[float64]int }]) }, "use string keys"},
		{"url", func() { tools.New("t", "", nothing[struct{ U url.URL }]) }, "use a string"},
		{"bad pattern", func() {
			tools.New("t", "", nothing[struct {
				A string `jsonschema:"pattern=("`
			}])
		}, "invalid schema"},
		{"bad default", func() {
			tools.New("t", "", nothing[struct {
				A int `json:"a,omitempty" jsonschema:"default=9,maximum=5"`
			}])
		}, "default of /a"},
		{"two effects", with(tools.Pure(), tools.Unsafe()), "two effects"},
		{"no timeout", with(tools.Timeout(0)), "must be positive"},
		{"no arguments", with(tools.MaxArguments(0)), "must be positive"},
		{"no result", with(tools.MaxResult(-1)), "must be positive"},
		{"no images", with(tools.MaxImages(0)), "must be positive"},
		{"no concurrency", with(tools.MaxConcurrent(0)), "must be positive"},
		{"no rate", with(tools.RateLimit(1, 0)), "must be positive"},
		{"other name that is none", with(tools.Named("a b")), "invalid name"},
		{"negative approval", with(tools.NeedsApproval(tools.Approval{Needed: -1})), "negative"},
		{"zero undo", with(tools.Compensable(tools.Tool{})), "zero Tool"},
		{"undo with other arguments", with(tools.Compensable(tools.New("u", "", nothing[struct{ A int }]))), "takes other arguments"},
		{"reconcile of a pure tool", with(tools.Pure(), tools.Reconcile(find[none, string])), "never asked"},
		{"reconcile with other input", with(tools.Reconcile(find[struct{ A int }, string])), "types must be the same"},
		{"reconcile with other output", with(tools.Reconcile(find[none, int])), "types must be the same"},
		{"nil reconcile", with(tools.Reconcile[none, string](nil)), "Reconcile function is nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "tools.New(") || !strings.Contains(msg, tt.want) {
					t.Errorf("panic %q, want one of tools.New with %q", msg, tt.want)
				}
			}()
			tt.make()
		})
	}
}

func find[In, Out any](context.Context, string, In) (out Out, happened bool, err error) { return }

func TestDeclarations(t *testing.T) {
	undo := tools.New("undo", "", nothing[none], tools.Idempotent())
	tool := tools.New("do", "Does it.", nothing[none], tools.Compensable(undo), tools.Timeout(time.Minute), tools.Reconcile(find[none, string]),
		tools.NeedsApproval(tools.Approval{By: []string{"sre"}, Question: "Really?"}))
	if tool.Name() != "do" || tool.Description() != "Does it." || tool.Timeout() != time.Minute || !tool.HasReconcile() {
		t.Errorf("tool = %q, %q, %s, reconcile %v", tool.Name(), tool.Description(), tool.Timeout(), tool.HasReconcile())
	}
	if got, ok := tool.Undo(); !ok || got != undo || tool.Effect() != tools.EffectCompensable {
		t.Errorf("undo = %v, %v, effect = %s", got.Name(), ok, tool.Effect())
	}
	tool.Approval().By[0] = "me"
	if diff := cmp.Diff(&tools.Approval{By: []string{"sre"}, Needed: 1, Question: "Really?"}, tool.Approval()); diff != "" {
		t.Errorf("approval (-want +got):\n%s", diff)
	}
	plain := tools.New("plain", "", nothing[none])
	if n, per := plain.RateLimit(); n != 0 || per != 0 || plain.MaxConcurrent() != 0 {
		t.Error("a tool that declares no limits has some")
	}
	limited := tools.New("limited", "", nothing[none], tools.MaxConcurrent(2), tools.RateLimit(10, time.Minute))
	if n, per := limited.RateLimit(); n != 10 || per != time.Minute || limited.MaxConcurrent() != 2 {
		t.Errorf("limits = %d in %s, %d at once", n, per, limited.MaxConcurrent())
	}
	if _, ok := plain.Undo(); ok || plain.Effect() != tools.EffectUnsafe || plain.Approval() != nil || plain.HasReconcile() || plain.Timeout() != 0 {
		t.Error("a tool that declares nothing declares something")
	}
}

func TestEffectText(t *testing.T) {
	for e, want := range map[tools.Effect]string{
		tools.EffectUnsafe: "unsafe", tools.EffectPure: "pure", tools.EffectIdempotent: "idempotent", tools.EffectCompensable: "compensable",
	} {
		text, err := e.MarshalText()
		if err != nil || string(text) != want || e.String() != want {
			t.Errorf("%d = %s, %s, %v, want %s", e, text, e, err, want)
		}
		var back tools.Effect
		if err := back.UnmarshalText(text); err != nil || back != e {
			t.Errorf("%s reads back as %s, %v", text, back, err)
		}
	}
	var e tools.Effect
	if err := e.UnmarshalText([]byte("harmless")); err == nil {
		t.Error("an unknown effect is accepted")
	}
	if _, err := tools.Effect(9).MarshalText(); err == nil {
		t.Error("an unknown effect is written")
	}
}

func TestRaw(t *testing.T) {
	echo := func(ctx context.Context, args json.RawMessage) (tools.Result, error) {
		return tools.Result{Content: string(args)}, nil
	}
	tests := []struct {
		name, tool, schema, want string
	}{
		{"valid", "t", `{"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}`, ""},
		{"older draft", "t", `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}`, ""},
		{"bad name", "t t", `{"type": "object"}`, "invalid name"},
		{"none", "t", ``, "not valid JSON"},
		{"no JSON", "t", `{`, "not valid JSON"},
		{"no object", "t", `{"type": "string"}`, `"type": "object"`},
		{"boolean", "t", `true`, `"type": "object"`},
		{"wrong keyword", "t", `{"type": "object", "properties": 1}`, "invalid schema"},
		{"file", "t", `{"type": "object", "$ref": "file:///etc/hostname"}`, "must not refer to other documents"},
		{"relative", "t", `{"type": "object", "$ref": "other.json"}`, "invalid schema"},
		{"dangling", "t", `{"type": "object", "$ref": "#/$defs/n"}`, "invalid schema"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tool, err := tools.Raw(tt.tool, "", json.RawMessage(tt.schema), echo)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error = %v, want one line with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := tool.Call(t.Context(), tools.Call{Arguments: `{"z": 1.0, "n": 9007199254740993}`})
			if err != nil || got.Content != `{"n":9007199254740993,"z":1}` {
				t.Errorf("call = %q, %v", got.Content, err)
			}
			if _, err := tool.Call(t.Context(), tools.Call{Arguments: `{"n": 1.5}`}); tt.name == "valid" && err == nil {
				t.Error("a violation behind a reference is accepted")
			}
		})
	}
	if _, err := tools.Raw("t", "", json.RawMessage(`{"type":"object"}`), nil); err == nil {
		t.Error("a nil function is accepted")
	}
	_, err := tools.Raw("t", "", json.RawMessage(`{"type":"object"}`), echo, tools.Reconcile(find[json.RawMessage, tools.Result]))
	if err != nil {
		t.Errorf("reconcile of a raw tool: %v", err)
	}
}

func TestIndex(t *testing.T) {
	a, b := tools.New("a", "", nothing[none]), tools.New("b", "", nothing[none])
	got, err := tools.Index([]tools.Tool{a, b})
	if err != nil || len(got) != 2 || got["a"] != a || got["b"] != b {
		t.Errorf("index = %v, %v", got, err)
	}
	if _, err := tools.Index([]tools.Tool{a, b, a}); err == nil || !strings.Contains(err.Error(), `duplicate tool name "a"`) {
		t.Errorf("duplicate: %v", err)
	}
	if _, err := tools.Index([]tools.Tool{a, {}}); err == nil {
		t.Error("a zero Tool is accepted")
	}
}

func TestZeroTool(t *testing.T) {
	var zero tools.Tool
	_, callErr := zero.Call(t.Context(), tools.Call{})
	_, reconcileErr := zero.Reconcile(t.Context(), tools.Call{})
	if err := errors.Join(zero.Validate("{}")); err == nil || callErr == nil || reconcileErr == nil {
		t.Error("the zero Tool can be used")
	}
	if zero.Name() != "" || zero.Effect() != tools.EffectUnsafe || zero.Approval() != nil || zero.Schema() != nil {
		t.Error("the zero Tool declares something")
	}
}
