package v1

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/api/ws"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// Prefix begins every path of this version.
const Prefix = "/api/v1"

// scopeKey is where an operation keeps the scope it needs.
const scopeKey = "scope"

// Deps is what the operations are handed.
type Deps struct {
	Control *control.Control
	Live    *ws.Hub
	Log     *slog.Logger
}

// routes registers operations on one API.
type routes struct {
	api huma.API
	*control.Control
	live *ws.Hub
	log  *slog.Logger
}

// Register adds every operation to the API.
func Register(api huma.API, d Deps) {
	r := &routes{api: api, Control: d.Control, live: d.Live, log: d.Log}
	r.instances()
	r.agents()
	r.agentRoutes()
	r.channels()
	r.messages()
	r.media()
	r.chats()
	r.turns()
	r.persons()
	r.personGraph()
	r.events()
	r.stream()
	r.keys()
	r.tenants()
	r.deadLetters()
	r.access()
}

// CheckScope is the huma middleware that holds every operation against its
// scope, before the request is read any further.
func CheckScope(ctx huma.Context, next func(huma.Context)) {
	scope, _ := ctx.Operation().Metadata[scopeKey].(string)
	if p := auth.CheckScope(auth.Caller(ctx.Context()), scope); p != nil {
		write(ctx, p)
		return
	}
	next(ctx)
}

func write(ctx huma.Context, p *problem.Problem) {
	p.RequestID = problem.RequestID(ctx.Context())
	ctx.SetHeader("Content-Type", problem.ContentType)
	ctx.SetStatus(p.Status)
	_ = huma.DefaultJSONFormat.Marshal(ctx.BodyWriter(), p) // the client is gone, then
}

// endpoint is one operation in short.
type endpoint struct {
	id      string // "list-messages"
	method  string
	path    string // below Prefix
	tag     string
	scope   string
	summary string
	doc     string
	status  int               // of success; 0: 200, or 204 without a body
	body    *huma.RequestBody // set: the handler checks the body itself
}

// Operation is the endpoint as huma wants it.
func (e endpoint) operation() huma.Operation {
	return huma.Operation{
		OperationID: e.id, Method: e.method, Path: Prefix + e.path, Summary: e.summary, Description: e.doc,
		Tags: []string{e.tag}, DefaultStatus: e.status, Metadata: map[string]any{scopeKey: e.scope},
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
			http.StatusTooManyRequests, http.StatusServiceUnavailable},
		RequestBody: e.body, SkipValidateBody: e.body != nil, Extensions: map[string]any{"x-scope": e.scope},
		MaxBodyBytes: 1 << 20,
	}
}

// Document sets what every operation of an API shares.
func Document(o *huma.OpenAPI) {
	o.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "Authorization: Bearer <key>"},
		"apiKey": {Type: "apiKey", In: "header", Name: "x-api-key"},
	}
	o.Security = []map[string][]string{{"bearer": {}}, {"apiKey": {}}}
}

// add registers an operation whose handler gets the caller.
func add[I, O any](r *routes, e endpoint, handle func(context.Context, *omni.APIKey, *I) (*O, error)) {
	huma.Register(r.api, e.operation(), func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, auth.Caller(ctx), in)
		if err != nil {
			return nil, problem.From(ctx, r.log, err)
		}
		return out, nil
	})
}
