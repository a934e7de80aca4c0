package temporald

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	// frontendHealth is the name under which the frontend reports its health.
	frontendHealth = "temporal.api.workflowservice.v1.WorkflowService"
	pollEvery      = 20 * time.Millisecond
)

// Server is an in-process Temporal server. It implements lifecycle.Service.
type Server struct {
	options Options

	mutex    sync.Mutex
	server   temporal.Server // nil while stopped
	frontend string          // host:port
	conn     *grpc.ClientConn
}

// New returns a server that has not started.
func New(options Options) *Server { return &Server{options: options} }

// Address is host:port of the frontend. Valid once Start has returned.
func (s *Server) Address() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.frontend
}

// Start prepares the databases and returns when the frontend serves.
func (s *Server) Start(ctx context.Context) error {
	log := logger{log: s.options.Log}
	if err := prepareSchema(ctx, s.options, log); err != nil {
		return err
	}
	p, err := choosePorts(ctx, s.options.Port)
	if err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(s.options.serverConfig(p)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(p.hosts()),
		temporal.WithLogger(log),
		temporal.WithNamespaceLogger(log),
		temporal.WithDynamicConfigClient(dynamicSettings()),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
	)
	if err != nil {
		return fmt.Errorf("making the Temporal server: %w", err)
	}
	if err := server.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting Temporal: %w", err), server.Stop())
	}
	conn, err := grpc.NewClient(p.address(primitives.FrontendService), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return errors.Join(fmt.Errorf("connecting to Temporal: %w", err), server.Stop())
	}
	s.mutex.Lock()
	s.server, s.conn, s.frontend = server, conn, p.address(primitives.FrontendService)
	s.mutex.Unlock()
	if err := s.awaitHealthy(ctx); err != nil {
		return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (s *Server) awaitHealthy(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := s.Healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Temporal: %w (%w)", ctx.Err(), err)
		}
	}
}

// Healthy says why the frontend does not serve, or nil.
func (s *Server) Healthy(ctx context.Context) error {
	s.mutex.Lock()
	conn := s.conn
	s.mutex.Unlock()
	if conn == nil {
		return errors.New("the embedded Temporal does not run")
	}
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: frontendHealth})
	if err != nil {
		return fmt.Errorf("asking Temporal for its health: %w", err)
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("temporal is %s", answer.GetStatus())
	}
	return nil
}

// Stop stops the services; it waits for them, or for ctx.
func (s *Server) Stop(ctx context.Context) error {
	s.mutex.Lock()
	server, conn := s.server, s.conn
	s.server, s.conn = nil, nil
	s.mutex.Unlock()
	if server == nil {
		return nil
	}
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(conn.Close(), server.Stop()) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stopping Temporal in time: %w", ctx.Err())
	}
}
