package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// maxForwarded bounds how many proxies are believed, one behind the other.
const maxForwarded = 20

// clientAddress makes the address of a request that of the client where a
// trusted proxy hands it over, for whatever looks at addresses further on:
// limits, chat pages, the audit. What anybody else says in the header is not
// looked at. (gin's own ClientIP reads the first line of the header only, and
// some proxies add a line of their own to what the client sent.)
func clientAddress(trusted []netip.Prefix) gin.HandlerFunc {
	return func(c *gin.Context) {
		peer, err := netip.ParseAddrPort(c.Request.RemoteAddr)
		if err != nil || !isTrusted(trusted, peer.Addr()) {
			return
		}
		if client, ok := forwardedFor(c.Request.Header, trusted); ok {
			c.Request.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
	}
}

// forwardedFor is the nearest address that no trusted proxy is: what stands
// further to the left is only said by that one. False where a word is no
// address, or where all are proxies.
func forwardedFor(h http.Header, trusted []netip.Prefix) (client netip.Addr, ok bool) {
	hops := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	for i, hop := range slices.Backward(hops) {
		client, ok = parseHop(strings.TrimSpace(hop))
		if !ok || len(hops)-i > maxForwarded {
			return client, false
		}
		if !isTrusted(trusted, client) {
			return client, true
		}
	}
	return client, false
}

// parseHop reads an address, with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

func isTrusted(trusted []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}
