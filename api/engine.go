package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/api/hooks"
	"github.com/omnihub/omni/api/problem"
	v1 "github.com/omnihub/omni/api/v1"
	"github.com/omnihub/omni/api/ws"
)

// newEngine makes the router with everything mounted.
func newEngine(d Deps, live *ws.Hub) (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	// A redirect would answer before the key was asked for.
	e.RedirectTrailingSlash, e.RedirectFixedPath = false, false
	measure, err := measured(d.Meter)
	if err != nil {
		return nil, err
	}
	limits := auth.NewLimits(d.Rate, d.Burst)
	e.Use(requestID, clientAddress(d.TrustedProxies), traced(d.Tracer), measure, logged(d.Log), recovered(d.Log), secured, jsonBody, heard,
		protected(auth.Required(d.Control.Auth, limits, auth.NewGuesses(d.Control.Auth.Remembers), d.Log)), audited(d.Control.Audit))
	e.NoRoute(func(c *gin.Context) {
		problem.Write(c.Writer, c.Request, problem.New(http.StatusNotFound, "not_found", "there is nothing at this address"))
	})
	e.NoMethod(func(c *gin.Context) {
		problem.Write(c.Writer, c.Request, problem.New(http.StatusMethodNotAllowed, "method_not_allowed",
			c.Request.Method+" is not what this address takes"))
	})
	mountHealth(e, d.Control.Health, d.Metrics)
	if d.Hooks != nil {
		hooks.Mount(e, d.Hooks, d.Log)
	}
	e.GET("/ws/events", auth.RequireScope("events:read"), live.Handler(d.Log))
	api := humagin.New(e, humaConfig(d.Version))
	api.UseMiddleware(v1.CheckScope)
	v1.Document(api.OpenAPI())
	v1.Register(api, v1.Deps{Control: d.Control, Live: live, Log: d.Log})
	documentWebSocket(api.OpenAPI())
	return headAsGet{e}, mountDocs(e, api.OpenAPI())
}

// humaConfig is huma without what it would serve by itself: we serve the
// document and its page, and answers carry no $schema.
func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("Omni", version)
	c.Info.Description = "One hub between people on chat platforms and the AI agents that answer them."
	c.OpenAPIPath, c.DocsPath, c.CreateHooks = "", "", nil
	c.FieldsOptionalByDefault = true
	return c
}

// documentWebSocket adds what OpenAPI cannot describe, in words.
func documentWebSocket(o *huma.OpenAPI) {
	sse := o.Paths[v1.Prefix+"/events/stream"].Get
	o.AddOperation(&huma.Operation{
		OperationID: "follow-events", Method: http.MethodGet, Path: "/ws/events", Tags: []string{"events"},
		Summary: "Follow the event log (WebSocket)",
		Description: "Each message is one CloudEvent as text; its position is where to go on: since=<position>. " +
			"Besides the headers, the key may come as a subprotocol: Sec-WebSocket-Protocol: omni.events, " +
			"omni.key.<key in base64url without padding>.",
		Parameters: sse.Parameters, Extensions: sse.Extensions, Responses: map[string]*huma.Response{
			"101":     {Description: "the connection is a WebSocket now"},
			"default": sse.Responses["401"],
		},
	})
}

// mountDocs serves the OpenAPI document, made once, and its page.
func mountDocs(e *gin.Engine, o *huma.OpenAPI) error {
	doc, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encoding the OpenAPI document: %w", err)
	}
	e.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", doc) })
	e.GET("/docs", func(c *gin.Context) {
		c.Header("Content-Security-Policy", docsPolicy)
		c.Data(http.StatusOK, "text/html; charset=utf-8", docsPage)
	})
	e.GET("/", func(c *gin.Context) { c.Redirect(http.StatusFound, "/docs") })
	return nil
}
