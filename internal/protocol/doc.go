// Package protocol is the durable task protocol in Go: the messages that workers, clients and
// a task hub exchange over gRPC, and the stubs of their service, /TaskHubSidecarService/METHOD.
//
// It holds generated code and nothing else. Change orchestrator_service.proto, whose names and
// numbers are those of the public protocol, and run
//
//	go generate ./internal/protocol
//
// which needs protoc (3.21 or later) on the PATH; the two Go plugins are tools of this module, so
// that their versions are those in go.mod. The result is committed: building needs no protoc.
//
// Nothing outside the module sees these types. durable/history gives events their Go form,
// durable/taskhub speaks the service.
package protocol

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=paths=source_relative:. --go-grpc_out=paths=source_relative:. orchestrator_service.proto agentrun_local.proto"
