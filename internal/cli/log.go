package cli

import (
	"log/slog"
	"os"
)

// setUpLog sends what the program logs to standard error, from the level on that
// the environment names.
func (a *app) setUpLog() error {
	level := slog.LevelWarn
	if s := os.Getenv(envLog); s != "" {
		if err := level.UnmarshalText([]byte(s)); err != nil {
			return usagef("%s is %q; set it to debug, info, warn or error", envLog, s)
		}
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(a.term, &slog.HandlerOptions{Level: level})))
	return nil
}
