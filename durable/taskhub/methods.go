package taskhub

import (
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// need is what a call must have where access is controlled.
type need struct {
	role   access.Role // "": any valid token will do
	open   bool        // nobody is asked for a token
	anyHub bool        // it is not about the hub that its header names
	long   bool        // a unary call that lasts: see guard
}

// methods says for every method what it needs. One that is not here is refused.
var methods = map[string]need{
	protocol.TaskHubSidecarService_Hello_FullMethodName: {anyHub: true},

	protocol.TaskHubSidecarService_GetInstance_FullMethodName:               {role: access.Reader},
	protocol.TaskHubSidecarService_WaitForInstanceStart_FullMethodName:      {role: access.Reader, long: true},
	protocol.TaskHubSidecarService_WaitForInstanceCompletion_FullMethodName: {role: access.Reader, long: true},
	protocol.TaskHubSidecarService_QueryInstances_FullMethodName:            {role: access.Reader},
	protocol.TaskHubSidecarService_ListInstanceIds_FullMethodName:           {role: access.Reader},
	protocol.TaskHubSidecarService_StreamInstanceHistory_FullMethodName:     {role: access.Reader},
	protocol.TaskHubSidecarService_GetEntity_FullMethodName:                 {role: access.Reader},
	protocol.TaskHubSidecarService_QueryEntities_FullMethodName:             {role: access.Reader},

	protocol.TaskHubSidecarService_StartInstance_FullMethodName:                         {role: access.Operator},
	protocol.TaskHubSidecarService_RaiseEvent_FullMethodName:                            {role: access.Operator},
	protocol.TaskHubSidecarService_TerminateInstance_FullMethodName:                     {role: access.Operator},
	protocol.TaskHubSidecarService_SkipGracefulOrchestrationTerminations_FullMethodName: {role: access.Operator},
	protocol.TaskHubSidecarService_SuspendInstance_FullMethodName:                       {role: access.Operator},
	protocol.TaskHubSidecarService_ResumeInstance_FullMethodName:                        {role: access.Operator},
	protocol.TaskHubSidecarService_RestartInstance_FullMethodName:                       {role: access.Operator},
	protocol.TaskHubSidecarService_RewindInstance_FullMethodName:                        {role: access.Operator},
	protocol.TaskHubSidecarService_PurgeInstances_FullMethodName:                        {role: access.Operator},
	protocol.TaskHubSidecarService_SignalEntity_FullMethodName:                          {role: access.Operator},
	protocol.TaskHubSidecarService_CleanEntityStorage_FullMethodName:                    {role: access.Operator},

	protocol.TaskHubSidecarService_GetWorkItems_FullMethodName:                    {role: access.Worker},
	protocol.TaskHubSidecarService_CompleteActivityTask_FullMethodName:            {role: access.Worker},
	protocol.TaskHubSidecarService_CompleteOrchestratorTask_FullMethodName:        {role: access.Worker},
	protocol.TaskHubSidecarService_CompleteEntityTask_FullMethodName:              {role: access.Worker},
	protocol.TaskHubSidecarService_AbandonTaskActivityWorkItem_FullMethodName:     {role: access.Worker},
	protocol.TaskHubSidecarService_AbandonTaskOrchestratorWorkItem_FullMethodName: {role: access.Worker},
	protocol.TaskHubSidecarService_AbandonTaskEntityWorkItem_FullMethodName:       {role: access.Worker},

	protocol.TaskHubSidecarService_CreateTaskHub_FullMethodName: {role: access.Admin},
	protocol.TaskHubSidecarService_DeleteTaskHub_FullMethodName: {role: access.Admin},

	protocol.Local_Handshake_FullMethodName:  {anyHub: true},
	protocol.Local_ListHubs_FullMethodName:   {role: access.Reader, anyHub: true},
	protocol.Local_Query_FullMethodName:      {role: access.Reader},
	protocol.Local_Executions_FullMethodName: {role: access.Reader},
	protocol.Local_History_FullMethodName:    {role: access.Reader},
	protocol.Local_Payload_FullMethodName:    {role: access.Reader},
	protocol.Local_Watch_FullMethodName:      {role: access.Reader},
	protocol.Local_Publish_FullMethodName:    {role: access.Worker},
	protocol.Local_Effects_FullMethodName:    {role: access.Reader},

	// What looks after a server has no token.
	grpc_health_v1.Health_Check_FullMethodName: {open: true},
	grpc_health_v1.Health_Watch_FullMethodName: {open: true},
	grpc_health_v1.Health_List_FullMethodName:  {open: true},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {anyHub: true},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {anyHub: true},
}
