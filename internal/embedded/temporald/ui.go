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
)

// UI is Temporal's web UI, on loopback and without a login. It implements
// lifecycle.Service.
type UI struct {
	port      int
	namespace string
	address   func() string // of the Temporal frontend, asked at Start

	mutex  sync.Mutex
	server *http.Server // nil while stopped
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
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(u.port)))
	if err != nil {
		return fmt.Errorf("taking a port for Temporal's UI: %w", err)
	}
	handler, err := uiHandler(u.address(), u.namespace)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	u.mutex.Lock()
	u.server, u.done = server, done
	u.url = "http://" + listener.Addr().String()
	u.mutex.Unlock()
	if err := u.Healthy(ctx); err != nil {
		return errors.Join(err, u.Stop(context.WithoutCancel(ctx)))
	}
	return nil
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
	if server == nil {
		return nil
	}
	err := server.Close()
	<-done
	return err
}
