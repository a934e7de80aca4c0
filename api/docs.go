package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"regexp"
)

// docsPage renders /openapi.json in the browser. Everything is in the one
// file: a hub may stand where no CDN can be reached.
//
//go:embed docs.html
var docsPage []byte

// docsPolicy lets the page run its own script and style, and nothing else.
var docsPolicy = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; script-src '" + inlineHash("script") + "'; style-src '" + inlineHash("style") + "'"

func inlineHash(tag string) string {
	m := regexp.MustCompile(`(?s)<` + tag + `>(.*?)</` + tag + `>`).FindSubmatch(docsPage)
	if m == nil {
		panic("api: docs.html has no " + tag)
	}
	sum := sha256.Sum256(m[1])
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
