package sqlite

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"zombiezen.com/go/sqlite"
)

// Times that nanoseconds in 64 bits can hold: the years 1678 to 2261. Others are
// kept as the nearest of these; a timer set for the year 9999 is as far off then
// as it was.
var (
	minTime = time.Unix(0, math.MinInt64)
	maxTime = time.Unix(0, math.MaxInt64)
)

// nano gives a time as it is stored; 0, which stands for null here, is none. An
// instant before 1970 and after is never 0 but for 1970 itself.
func nano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(minTime):
		return math.MinInt64
	case t.After(maxTime):
		return math.MaxInt64
	}
	if n := t.UnixNano(); n != 0 {
		return n
	}
	return 1 // 1970 itself, a nanosecond late
}

func bindTime(st *sqlite.Stmt, param int, t time.Time) {
	if n := nano(t); n != 0 {
		st.BindInt64(param, n)
	} else {
		st.BindNull(param)
	}
}

func columnTime(st *sqlite.Stmt, col int) time.Time {
	n := st.ColumnInt64(col) // null reads as 0
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// bindNullable keeps nil and empty apart.
func bindNullable(st *sqlite.Stmt, param int, b []byte) {
	if b == nil {
		st.BindNull(param)
	} else {
		st.BindBytes(param, b)
	}
}

// columnBytes copies a blob; a null is nil, an empty blob is not.
func columnBytes(st *sqlite.Stmt, col int) []byte {
	if st.ColumnIsNull(col) {
		return nil
	}
	b := make([]byte, st.ColumnLen(col))
	st.ColumnBytes(col, b)
	return b
}

func columnTags(st *sqlite.Stmt, col int) (map[string]string, error) {
	if st.ColumnIsNull(col) {
		return nil, nil
	}
	var tags map[string]string
	if err := json.Unmarshal([]byte(st.ColumnText(col)), &tags); err != nil {
		return nil, fmt.Errorf("tags: %w", err)
	}
	return tags, nil
}
