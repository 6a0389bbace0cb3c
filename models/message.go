package models

// Role says who speaks in a [Message].
type Role string

// The roles of a conversation.
const (
	RoleSystem    Role = "system"    // instructions of the program
	RoleUser      Role = "user"      // a person, or whoever gives the agent its task
	RoleAssistant Role = "assistant" // the model
	RoleTool      Role = "tool"      // the result of one tool call
)

// Message is one entry of a conversation. Its JSON form is stored with runs and
// recordings, and is covered by [Request.Hash]: fields are only ever added.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content,omitempty"`
	// Images come after Content, from a user or as part of a tool's result. A model
	// that cannot see refuses the request.
	Images []Image `json:"images,omitempty"`
	// ToolCalls is what the assistant asks for, in its order.
	ToolCalls []ToolCall `json:"toolCalls,omitempty"`
	// ToolCallID and Name belong to a message with RoleTool: the call that this is
	// the result of, and the tool that gave it.
	ToolCallID string `json:"toolCallId,omitempty"`
	Name       string `json:"name,omitempty"`
}

// Image is a picture in a message: its bytes, or where the provider finds them.
type Image struct {
	// MediaType says what Data is: "image/png", "image/jpeg", …
	MediaType string `json:"mediaType,omitempty"`
	Data      []byte `json:"data,omitempty"`
	// URL is used where there is no Data. It must be one that the provider can open.
	URL string `json:"url,omitempty"`
	// Detail is "low", "high" or "auto" for providers that know it; "" leaves it to them.
	Detail string `json:"detail,omitempty"`
}

// ToolCall is a model's wish to have a tool called.
type ToolCall struct {
	// ID ties the result to the call. It is unique within one answer only: models
	// repeat ids in later turns, so it must not serve as an idempotency key.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Arguments is kept as the model wrote it. It may be empty, and it may not be
	// valid JSON; the tool's side decides what to tell the model then.
	Arguments string `json:"arguments"`
}

// SystemMessage returns a message with instructions.
func SystemMessage(text string) Message { return Message{Role: RoleSystem, Content: text} }

// UserMessage returns a message of the user.
func UserMessage(text string) Message { return Message{Role: RoleUser, Content: text} }

// AssistantMessage returns a message of the model, with the calls it makes.
func AssistantMessage(text string, calls ...ToolCall) Message {
	return Message{Role: RoleAssistant, Content: text, ToolCalls: calls}
}

// ToolMessage returns the result of call.
func ToolMessage(call ToolCall, result string) Message {
	return Message{Role: RoleTool, Content: result, ToolCallID: call.ID, Name: call.Name}
}

// AssistantTurns counts the assistant's messages in a conversation. The answer
// that is asked for by a request is its turn number AssistantTurns+1.
func AssistantTurns(messages []Message) int {
	n := 0
	for _, m := range messages {
		if m.Role == RoleAssistant {
			n++
		}
	}
	return n
}
