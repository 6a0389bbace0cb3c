package chains

import "time"

// fake is behind rates.Source in tests only.
type fake struct{}

func (fake) Rate() int { // want Rate:`breaks sleep`
	time.Sleep(1)
	return 0
}
