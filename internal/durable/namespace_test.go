package durable

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
)

// contended is a server whose namespaces others change, too.
type contended struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer
	refusals int32 // how often it refuses to add attributes
	asked    atomic.Int32
}

func (*contended) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{}, nil
}

func (*contended) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	return &operatorservice.ListSearchAttributesResponse{}, nil
}

func (s *contended) AddSearchAttributes(context.Context, *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	if s.asked.Add(1) <= s.refusals {
		return nil, serviceerror.ToStatus(serviceerror.NewUnavailable(
			"Unable to save search attributes: UpdateNamespace: conditional update error: expect: 13, actual: 15.")).Err()
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

func (*contended) CountWorkflowExecutions(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	return &workflowservice.CountWorkflowExecutionsResponse{}, nil
}

// Of two hubs that start at once the server refuses one: it tries again.
func TestEnsureNamespaceWhileOthersDo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	contended := &contended{refusals: 3}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, contended)
	operatorservice.RegisterOperatorServiceServer(server, contended)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	c, err := client.NewLazyClient(client.Options{HostPort: listener.Addr().String(),
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, EnsureNamespace(t.Context(), c, "busy"))
	require.Equal(t, contended.refusals+1, contended.asked.Load())
}
