package temporald

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// UI is Temporal's web UI, on loopback and without a login. It implements
// lifecycle.Service.
type UI struct {
	port      int
	namespace string
	address   func() string // of the Temporal frontend, asked at Start

	mutex  sync.Mutex
	server *uiserver.Server // nil while stopped
	done   chan struct{}
	url    string
}

// NewUI returns a UI that has not started. Port 0 takes a free one.
func NewUI(port int, namespace string, addressFunc func() string) *UI {
	return &UI{port: port, namespace: namespace, address: addressFunc}
}

// URL is where the UI is. Valid once Start has returned.
func (u *UI) URL() string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.url
}

// Start returns when the UI answers.
func (u *UI) Start(ctx context.Context) error {
	port, err := probePort(ctx, u.port)
	if err != nil {
		return err
	}
	server := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: u.address(), Host: loopback, Port: port, EnableUI: true,
		DefaultNamespace: u.namespace, HideLogs: true, DisableNewsFetch: true,
		CORS: uiconfig.CORS{CookieInsecure: true},
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Ends the process if it cannot listen, hence the probe.
		_ = server.Start()
	}()
	u.mutex.Lock()
	u.server, u.done = server, done
	u.url = "http://" + net.JoinHostPort(loopback, strconv.Itoa(port))
	u.mutex.Unlock()
	if err := u.awaitAnswer(ctx); err != nil {
		return errors.Join(err, u.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (u *UI) awaitAnswer(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := u.Healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Temporal's UI: %w", err)
		}
	}
}

// Healthy says why the UI does not answer, or nil.
func (u *UI) Healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL()+"/healthz", http.NoBody)
	if err != nil {
		return fmt.Errorf("asking Temporal's UI for its health: %w", err)
	}
	// Not through the hub's guarded client: this is our own process on loopback.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking Temporal's UI for its health: %w", err)
	}
	return response.Body.Close()
}

// Stop closes the listener and every connection.
func (u *UI) Stop(context.Context) error {
	u.mutex.Lock()
	server, done := u.server, u.done
	u.server = nil
	u.mutex.Unlock()
	if server != nil {
		server.Stop()
		<-done
	}
	return nil
}

// probePort returns the port if nobody listens on it, a free one for 0.
func probePort(ctx context.Context, port int) (int, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("taking a port for Temporal's UI: %w", err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("taking a port for Temporal's UI: not a TCP address")
	}
	return address.Port, nil
}
