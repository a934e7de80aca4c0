package temporald

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	uiapi "github.com/temporalio/ui-server/v2/server/api"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/ui"
)

// uiHandler is what ui-server's own server serves, put together here: that one
// answers to every host name, and ends the process where it cannot listen.
func uiHandler(temporal, namespace string) (http.Handler, error) {
	config, err := uiconfig.NewConfigProviderWithRefresh(&uiconfig.Config{TemporalGRPCAddress: temporal, EnableUI: true,
		DefaultNamespace: namespace, DisableNewsFetch: true, CORS: uiconfig.CORS{CookieInsecure: true}})
	if err != nil {
		return nil, fmt.Errorf("configuring Temporal's UI: %w", err)
	}
	assets, err := ui.Assets()
	if err == nil {
		assets, err = fs.Sub(assets, "local")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pages of Temporal's UI: %w", err)
	}
	e := echo.New()
	e.Use(middleware.Recover(), middleware.Gzip(), middleware.Secure(), csrf.EnsureTokenCookie(false),
		middleware.CSRFWithConfig(csrf.MiddlewareConfig(config, false)))
	route.SetHealthRoute(e)
	forwarded := []uiapi.Middleware{headers.WithForwardHeaders([]string{"Caller-Type"})}
	if err := route.SetAPIRoutes(e, config, forwarded); err != nil {
		return nil, fmt.Errorf("making Temporal's UI: %w", err)
	}
	if err := route.SetUIRoutes(e, "", assets); err != nil {
		return nil, fmt.Errorf("making Temporal's UI: %w", err)
	}
	route.SetRenderRoute(e, "")
	return sameMachine(e), nil
}

// sameMachine lets in whoever calls this machine by an address or by the name
// localhost. Any other name is somebody's who had it stand for loopback, so
// that a page of theirs, open in a browser here, may talk to us as if it were
// ours (DNS rebinding).
func sameMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		_, err := netip.ParseAddr(host)
		if err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			http.Error(w, "Temporal's UI is not open under this name: use http://localhost or the address", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
