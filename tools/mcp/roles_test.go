package mcp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// Variables that tell a server of these tests what to be, and which file to write to.
const (
	roleEnv = "MCP_TEST_ROLE"
	fileEnv = "MCP_TEST_FILE"
)

// as is a server that is this program in a role.
func as(t *testing.T, role string) StdioServer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	via := Stdio(exe)
	via.Env = []string{roleEnv + "=" + role, "GORACE=atexit_sleep_ms=0"}
	return via
}

// roles are servers that speak the protocol by hand, and badly.
var roles = map[string]func(){
	// It lists a page, and says that there is another.
	"endless": func() {
		n := 0
		serve(func(m message) any {
			n++
			return page(fmt.Sprint(n), tool(fmt.Sprint("t", n)))
		})
	},
	"circle": func() { serve(func(m message) any { return page("again", tool("t"+m.cursor())) }) },
	"many": func() {
		serve(func(m message) any {
			var list []any
			for n := range 3000 {
				list = append(list, tool(fmt.Sprint("t", n)))
			}
			return page("", list...)
		})
	},
	"large": func() {
		serve(func(m message) any {
			return page("", tool("t"), map[string]any{"name": "u", "description": strings.Repeat("x", 2<<20), "inputSchema": map[string]any{"type": "object"}})
		})
	},
	"huge": func() {
		serve(func(m message) any {
			if m.Method == "tools/call" {
				jot(m.name())
				return map[string]any{"content": []any{map[string]any{"type": "text", "text": strings.Repeat("x", 2<<20)}}}
			}
			return page("", tool("t"))
		})
	},
	// It never answers what it is asked, but the greeting.
	"silent": func() {
		serve(func(m message) any {
			if m.Method == "tools/list" && os.Getenv(fileEnv) != "" {
				return page("", tool("t"))
			}
			if m.Method == "notifications/cancelled" {
				jot("cancelled")
			}
			return nil
		})
	},
	"hang":    func() { _, _ = bufio.NewReader(os.Stdin).ReadString(0) },
	"garbage": func() { fmt.Println("Listening…"); serve(func(message) any { return page("") }) },
	"crash": func() {
		jot("started")
		fmt.Fprintf(os.Stderr, "reading\nno config with password %s%s %s\n\n", os.Getenv("PASSWORD"), os.Getenv("THEIR_API_KEY"), os.Args[1:])
		os.Exit(1)
	},
	// It ends when the first thing it hears is not what it knows.
	"strict": func() {
		first := true
		serveAll(func(m message) any {
			if first && m.Method != "initialize" {
				os.Exit(3)
			}
			first = false
			if m.Method == "initialize" {
				return hello
			}
			return page("", tool("t"))
		})
	},
	// It does what it is asked, and dies before it says so.
	"mortal": func() {
		serve(func(m message) any {
			if m.Method == "tools/call" {
				jot(m.name())
				os.Exit(4)
			}
			return page("", tool("t"))
		})
	},
	// It notes the key of each call, and dies of the fifth: before it does anything, after it, or in the middle of
	// the answer.
	"witness": func() {
		calls := 0
		serve(func(m message) any {
			if m.Method != "tools/call" {
				return page("", tool("t"))
			}
			way := -1
			if calls++; calls == 5 {
				way = os.Getpid() % 3
			}
			if way == 0 {
				os.Exit(6)
			}
			jot(m.key())
			if way == 1 {
				os.Exit(7)
			}
			if way == 2 {
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type"`, m.ID)
				os.Exit(8)
			}
			return map[string]any{"content": []any{map[string]any{"type": "text", "text": m.key()}}}
		})
	},
	// It answers with what nobody knows yet.
	"odd": func() {
		serve(func(m message) any {
			if m.Method != "tools/call" {
				return page("", tool("t"), tool("pid"))
			}
			if m.name() == "pid" {
				return map[string]any{"content": []any{map[string]any{"type": "text", "text": fmt.Sprint(os.Getpid())}}}
			}
			jot(m.key())
			return map[string]any{"content": []any{map[string]any{"type": "hologram"}}}
		})
	},
	// It reports faster than anybody reads.
	"flood": func() {
		serve(func(m message) any {
			if m.Method != "tools/call" {
				return page("", tool("t"))
			}
			for n := range 3000 {
				say(map[string]any{"jsonrpc": "2.0", "method": "notifications/progress", "params": map[string]any{"progressToken": m.token(), "progress": n, "total": 3000}})
				say(map[string]any{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
			}
			return map[string]any{"content": []any{map[string]any{"type": "text", "text": "done"}}}
		})
	},
	// It does not end when it should, and has a child that does not either.
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleEnv+"=deaf")
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			os.Exit(5)
		}
		serve(func(m message) any {
			if m.Method == "tools/call" {
				return map[string]any{"content": []any{map[string]any{"type": "text", "text": fmt.Sprint(cmd.Process.Pid)}}}
			}
			return page("", tool("t"))
		})
		select {}
	},
	"deaf": func() { signal.Ignore(syscall.SIGTERM); select {} },
	"results": func() {
		serve(func(m message) any {
			if m.Method != "tools/call" {
				return page("", tool("kinds"), tool("input"), tool("refuses"))
			}
			switch m.name() {
			case "input":
				return map[string]any{"resultType": "input_required", "content": []any{}, "inputRequests": map[string]any{"a": map[string]any{"method": "elicitation/create", "params": map[string]any{"message": "password?"}}}}
			case "refuses":
				return fmt.Errorf("no such order")
			}
			return map[string]any{
				"content": []any{
					map[string]any{"type": "text", "text": `{"id": 9007199254740993, "ok": true}`},
					map[string]any{"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
					map[string]any{"type": "image", "mimeType": "text/html", "data": "AAAA"},
					map[string]any{"type": "resource", "resource": map[string]any{"uri": "file:///a.bin", "mimeType": "application/zip", "blob": "AAAA"}},
					map[string]any{"type": "resource", "resource": map[string]any{"uri": "file:///a.png", "mimeType": "image/png", "blob": "iVBORw0KGgo="}},
					map[string]any{"type": "resource_link", "uri": "file:///b", "name": "b", "description": "another"},
				},
				"structuredContent": map[string]any{"id": json.RawMessage("9007199254740993"), "ok": true},
				"isError":           true,
			}
		})
	},
	"schemas": func() {
		serve(func(m message) any {
			var list []any
			for _, s := range schemas {
				list = append(list, map[string]any{"name": s.name, "inputSchema": json.RawMessage(s.schema)})
			}
			return page("", append(list, tool("same"), tool("same"), tool(""), nil, tool(strings.Repeat("n", 300)), tool("file/read ü"), tool(strings.Repeat("m", 70)))...)
		})
	},
}

// message is what a server hears.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name   string         `json:"name"`
		Cursor string         `json:"cursor"`
		Meta   map[string]any `json:"_meta"`
	} `json:"params"`
}

func (m message) cursor() string { return m.Params.Cursor }
func (m message) name() string   { return m.Params.Name }
func (m message) token() any     { return m.Params.Meta["progressToken"] }

func (m message) key() string {
	key, _ := m.Params.Meta[KeyMeta].(string)
	return key
}

func tool(name string) map[string]any {
	return map[string]any{"name": name, "inputSchema": map[string]any{"type": "object"}}
}

func page(next string, list ...any) any {
	return map[string]any{"tools": append([]any{}, list...), "nextCursor": next}
}

var hello = map[string]any{
	"protocolVersion": "2025-06-18", "serverInfo": map[string]any{"name": "raw", "version": "1"},
	"capabilities": map[string]any{"tools": map[string]any{"listChanged": true}},
}

// serve answers the greeting as it should be, and the rest by answer: nil is no answer.
func serve(answer func(m message) any) {
	serveAll(func(m message) any {
		switch m.Method {
		case "initialize":
			return hello
		case "server/discover":
			return fmt.Errorf("method not found")
		case "notifications/initialized":
			return nil
		}
		return answer(m)
	})
}

func serveAll(answer func(m message) any) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			os.Exit(2)
		}
		out := answer(m)
		if out == nil || m.ID == nil {
			continue
		}
		reply := map[string]any{"jsonrpc": "2.0", "id": m.ID}
		if err, ok := out.(error); ok {
			reply["error"] = map[string]any{"code": -32601, "message": err.Error()}
		} else {
			reply["result"] = out
		}
		say(reply)
	}
}

func say(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		os.Exit(2)
	}
	_, _ = os.Stdout.Write(append(b, '\n'))
}

// jot adds a line to the test's file.
func jot(line string) {
	f, err := os.OpenFile(os.Getenv(fileEnv), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintln(f, line)
	_ = f.Close()
}
