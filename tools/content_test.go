package tools_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

const png = "\x89PNG\r\n\x1a\n"

func TestImageType(t *testing.T) {
	for data, want := range map[string]string{
		png + "x": "image/png", "\xff\xd8\xff\xe0": "image/jpeg", "GIF89a": "image/gif", "GIF87a": "image/gif",
		"RIFF\x00\x00\x00\x00WEBPVP8": "image/webp", "RIFF\x00\x00\x00\x00WAVE": "", "": "", "\x89PNG": "", "<svg/>": "", "GIF88a": "",
	} {
		if got := tools.ImageType([]byte(data)); got != want {
			t.Errorf("type of %q = %q, want %q", data, got, want)
		}
	}
}

func TestContent(t *testing.T) {
	if got := tools.Text("hi"); got.Content != "hi" || got.IsError {
		t.Errorf("text = %+v", got)
	}
	got, err := tools.JSON(map[string]string{"a": "<"})
	if err != nil || got.Content != `{"a":"<"}` {
		t.Errorf("JSON = %+v, %v", got, err)
	}
	if _, err := tools.JSON(math.NaN()); err == nil {
		t.Error("NaN has a JSON form")
	}
}

func TestImages(t *testing.T) {
	picture := func(size int) tools.Image {
		return tools.Image{MediaType: "image/png", Data: []byte(png + strings.Repeat("x", size-len(png)))}
	}
	many := tools.Result{Content: "many"}
	for range 23 {
		many.Images = append(many.Images, picture(10))
	}
	tests := []struct {
		name   string
		result tools.Result
		want   string
		images int
	}{
		{"alone", tools.Picture("image/png", []byte(png)), "(see the image)", 1},
		{"with text", tools.Result{Content: "a cat", Images: []tools.Image{picture(20)}}, "a cat", 1},
		{"wrong media type", tools.Picture("image/jpeg", []byte(png)), "(see the image)", 1},
		{"none that models read", tools.Picture("image/svg+xml", []byte("<svg/>")), "[image 1 left out: image/svg+xml of 6 bytes is none that a model can be shown, use PNG, JPEG, GIF or WebP]", 0},
		{"too large together", tools.Result{Content: "ok", Images: []tools.Image{picture(60), picture(60), picture(40)}}, "[image 2 left out: its 60 bytes are over the limit of 100 for all images]\nok", 2},
		{"too many", many, "[3 more images left out: the limit is 20]\nmany", 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := 100
			if tt.name == "too many" {
				limit = 1000
			}
			given := cmp.Diff(tools.Result{}, tt.result)
			got, err := returning(tt.result, tools.MaxImages(limit)).Call(t.Context(), tools.Call{})
			if err != nil || got.Content != tt.want || len(got.Images) != tt.images {
				t.Errorf("content %q with %d images, %v, want %q with %d", got.Content, len(got.Images), err, tt.want, tt.images)
			}
			for _, image := range got.Images {
				if image.MediaType != "image/png" {
					t.Errorf("media type %s, want that of the data", image.MediaType)
				}
			}
			if cmp.Diff(tools.Result{}, tt.result) != given {
				t.Error("the function's own result was changed")
			}
		})
	}
}

func TestWhole(t *testing.T) {
	whole := strings.Repeat("é", 600)
	got, err := returning(whole, tools.MaxResult(101)).Call(t.Context(), tools.Call{})
	if err != nil || got.Whole != whole || got.Shown != 100 || !strings.HasSuffix(got.Content, "\n[truncated: 1100 of 1200 bytes left out]") {
		t.Fatalf("content %q, %d of %d bytes shown, %v", got.Content, got.Shown, len(got.Whole), err)
	}
	read := got.ReadOn("read_result", "r7")
	if want := whole[:100] + "\n[the first 100 of 1200 bytes are shown: call read_result with id \"r7\" and offset 100 to read on]"; read.Content != want {
		t.Errorf("content %q, want %q", read.Content, want)
	}
	page, err := tools.PageOf(got.Whole, got.Shown, 0)
	if err != nil || got.Whole[:got.Shown]+page.Text != whole {
		t.Errorf("the next page is %+v, %v", page, err)
	}
	if short := tools.Text("hi").ReadOn("read_result", "r7"); short.Content != "hi" {
		t.Errorf("a result that was not cut says %q", short.Content)
	}
	endless, err := returning(strings.Repeat("x", tools.MaxWhole+5)).Call(t.Context(), tools.Call{})
	if err != nil || len(endless.Whole) > tools.MaxWhole+100 || !strings.HasSuffix(endless.Whole, "\n[truncated: 5 of 16777221 bytes left out]") {
		t.Errorf("%d bytes are kept, %v", len(endless.Whole), err)
	}
	mine := tools.New("t", "", func(context.Context, none) (tools.Result, error) {
		return tools.Result{Content: "ok", Whole: "x", Shown: 9, Changes: map[string]jsonValue{"a": nil}}, nil
	})
	if got, err := mine.Call(t.Context(), tools.Call{}); err != nil || got.Whole != "" || got.Shown != 0 || got.Changes != nil {
		t.Errorf("a function sets what is the caller's: %+v, %v", got, err)
	}
}

// TestFit: a result that others have looked at keeps the tool's limits, as a new one does.
func TestFit(t *testing.T) {
	tool := returning("x", tools.MaxResult(10))
	res, err := returning(strings.Repeat("€", 10), tools.MaxResult(10)).Call(t.Context(), tools.Call{})
	if err != nil {
		t.Fatal(err)
	}
	res.Changes = map[string]jsonValue{"a": nil}
	if got := tool.Fit(res); got.Whole != res.Whole || got.Shown != 9 || got.Content != res.Content || got.Changes == nil {
		t.Errorf("a result that was cut becomes %+v", got)
	}
	if got := tool.Fit(tools.Result{Content: "a much longer one"}); got.Whole != "a much longer one" || got.Shown != 10 {
		t.Errorf("a longer result becomes %+v", got)
	}
	if got := tool.Fit(tools.Result{IsError: true}); got.Content == "" || !got.IsError {
		t.Errorf("an empty result becomes %+v", got)
	}
}
