package memory

import (
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// maxImport bounds the messages of one import. They come in one operation's input.
const maxImport = 10_000

// Export gives a conversation in the format of the OpenAI chat API, as it is by now: with
// its edits, and "[redacted]" for what was redacted.
func Export(load Loader, h Head) ([]byte, error) {
	var list []models.Message
	for m, err := range Read(load, h, 0) {
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return EncodeOpenAI(list)
}

// Import makes a conversation of messages from elsewhere, such as [DecodeOpenAI] gives.
// The conversation must be empty. A client imports with Import.Send.
var Import = durable.Operation(Conversation, "import", func(ctx *durable.EntityContext, s *State, messages []models.Message) (Head, error) {
	if s.Version != 0 {
		return Head{}, fmt.Errorf("conversation %s has messages already: import into a new one", ctx.Key())
	}
	if len(messages) == 0 || len(messages) > maxImport {
		return Head{}, fmt.Errorf("%d messages: an import takes 1 to %d", len(messages), maxImport)
	}
	for part := range slices.Chunk(messages, maxLoose) {
		added := make([]entry, len(part))
		for i, m := range part {
			b, err := Encode(m)
			if err != nil {
				return Head{}, err
			}
			added[i].ref = ctx.Store(b)
		}
		s.Loose = 0 // a chunk of this size needs no joining
		if err := s.append(ctx, added); err != nil {
			return Head{}, err
		}
		s.joined()
	}
	return s.Head, nil
})
