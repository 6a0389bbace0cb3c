package tools

import (
	"fmt"
	"strings"
)

// maxImageCount bounds the images of one result; model APIs take a few dozen in a whole request.
const maxImageCount = 20

// Text is a result that is text, for functions that return it beside results of other types.
func Text(text string) Result { return Result{Content: text} }

// JSON is a result that is v as JSON. The error says that v has no JSON form.
func JSON(v any) (Result, error) {
	content, err := text(v)
	if err != nil {
		return Result{}, fmt.Errorf("a result has no JSON form: %w", err)
	}
	return Result{Content: content}, nil
}

// Picture is a result that is an image. Put text into its Content to say what it shows.
//
// Model APIs take PNG, JPEG, GIF and WebP, and refuse the whole conversation for an image that they cannot read. So
// [Tool.Call] looks at the data: one of these with another media type gets the right one, anything else is left out,
// like what is over the limit of [MaxImages] or beyond the 20th image. The content then says so.
func Picture(mediaType string, data []byte) Result {
	return Result{Images: []Image{{MediaType: mediaType, Data: data}}}
}

// ImageType returns the media type of a PNG, JPEG, GIF or WebP image by its first bytes, or "" for other data.
func ImageType(data []byte) string {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case has(0, "\xff\xd8\xff"):
		return "image/jpeg"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "image/gif"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "image/webp"
	}
	return ""
}

// checkImages leaves of a result's images those that a model can be shown, at most limit bytes. What was left out is
// said before the text, since its end may be cut.
func checkImages(r Result, limit int) Result {
	if len(r.Images) == 0 {
		return r
	}
	var kept []Image
	var left []string
	total := 0
	for i, image := range r.Images[:min(len(r.Images), maxImageCount)] {
		why := ""
		switch mediaType := ImageType(image.Data); {
		case mediaType == "":
			why = fmt.Sprintf("%s of %d bytes is none that a model can be shown, use PNG, JPEG, GIF or WebP", clip(oneLine(image.MediaType)), len(image.Data))
		case total+len(image.Data) > limit:
			why = fmt.Sprintf("its %d bytes are over the limit of %d for all images", len(image.Data), limit)
		default:
			total += len(image.Data)
			kept = append(kept, Image{MediaType: mediaType, Data: image.Data})
		}
		if why != "" {
			left = append(left, fmt.Sprintf("[image %d left out: %s]", i+1, why))
		}
	}
	if more := len(r.Images) - maxImageCount; more > 0 {
		left = append(left, fmt.Sprintf("[%d more images left out: the limit is %d]", more, maxImageCount))
	}
	r.Images = kept
	if r.Content != "" {
		left = append(left, r.Content)
	}
	r.Content = strings.Join(left, "\n")
	return r
}
