package durable

import "github.com/agentrun-dev/agentrun/durable/store"

// HeldError says that another process holds a store, and who that is; see
// [Options.OnHeld].
type HeldError = store.HeldError
