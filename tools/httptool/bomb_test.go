package httptool_test

import (
	"compress/gzip"
	"net/http"
)

// bomb answers with a few KiB that are 64 MiB when they are decompressed.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "text/plain")
	zip := gzip.NewWriter(w)
	defer zip.Close()
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = 'x'
	}
	for range 64 {
		if _, err := zip.Write(chunk); err != nil {
			return // the reader has had enough
		}
	}
}
