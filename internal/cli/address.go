package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/omnihub/omni/internal/config"
)

// listenAddress is host:port of the API.
func listenAddress(cfg *config.Config) string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
}

// apiURL is where this machine reaches the API.
func apiURL(cfg *config.Config) string {
	if cfg.APIURL != "" {
		return cfg.APIURL
	}
	host := cfg.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(cfg.Port))
}

// probeAPIPort finds a port that is taken before anything starts. For port 0
// it settles on a free one.
func probeAPIPort(ctx context.Context, cfg *config.Config) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", listenAddress(cfg))
	if err != nil {
		return portError(cfg, err)
	}
	defer func() { _ = listener.Close() }()
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		cfg.Port = address.Port
	}
	return nil
}

func portError(cfg *config.Config, err error) error {
	if opErr, ok := errors.AsType[*net.OpError](err); ok {
		err = opErr.Err
	}
	if sysErr, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sysErr.Err
	}
	return fmt.Errorf("OMNI_HOST, OMNI_PORT: cannot listen on %s: %w", listenAddress(cfg), err)
}
