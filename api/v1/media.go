package v1

import (
	"context"
	"io"
	"mime"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/omnihub/omni/internal/omni"
)

// media is the bytes of attachments: huma hands the connection over.
func (r *routes) media() {
	e := endpoint{id: "get-media", method: http.MethodGet, path: "/media/{id}", tag: "media", scope: "media:read",
		summary: "Read the bytes of an attachment",
		doc: "The id is in content.media of the message, and in its media.received event, once the attachment is fetched. " +
			"Range and conditional requests work. 409 media_failed where it could not be fetched."}
	add(r, e, func(ctx context.Context, who *omni.APIKey, in *ByID) (*huma.StreamResponse, error) {
		f, bytes, err := r.Media.Open(ctx, who, in.ID.UUID)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { serveMedia(hc, f, bytes) }}, nil
	})
	r.api.OpenAPI().Paths[Prefix+e.path].Get.Responses["200"] = &huma.Response{Description: "the bytes, with the attachment's own type",
		Content: map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
}

// serveMedia writes what was asked for. The bytes are somebody else's: no
// browser shall run them as a page of this host.
func serveMedia(hc huma.Context, f *omni.MediaFile, bytes io.ReadSeekCloser) {
	defer func() { _ = bytes.Close() }()
	c := humagin.Unwrap(hc)
	h := c.Writer.Header()
	h.Set("Content-Type", contentType(f.MimeType))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Filename}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	h.Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(c.Writer, c.Request, "", f.CreatedAt, bytes)
}

// contentType is the attachment's own type, if it is one.
func contentType(said string) string {
	if _, _, err := mime.ParseMediaType(said); err != nil {
		return "application/octet-stream"
	}
	return said
}
