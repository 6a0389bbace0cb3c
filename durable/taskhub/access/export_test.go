package access

import "time"

// SetNow changes the clock.
func (f *File) SetNow(now func() time.Time) { f.now = now }
