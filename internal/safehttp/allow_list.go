package safehttp

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// allowList holds the exceptions of OMNI_ALLOW_PRIVATE_NETWORKS.
type allowList struct {
	prefixes []allowedPrefix
	hosts    []allowedHost
}

type allowedPrefix struct {
	prefix netip.Prefix
	port   string // "" for any
}

type allowedHost struct {
	name   string // lower case, without the wildcard
	suffix bool   // "*.internal": any name below
	port   string // "" for any
}

// parseAllowList reads entries: an address, a CIDR, a host name, "*.suffix",
// each but the CIDR with an optional ":port". "localhost" also stands for the
// loopback addresses.
func parseAllowList(entries []string) (*allowList, error) {
	l := &allowList{}
	for _, entry := range entries {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		if err := l.add(entry); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *allowList) add(entry string) error {
	if p, err := netip.ParsePrefix(entry); err == nil {
		l.prefixes = append(l.prefixes, allowedPrefix{prefix: unmapPrefix(p)})
		return nil
	}
	host, port := entry, ""
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		host = a.String()
	} else if h, p, err := net.SplitHostPort(entry); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("allow-list entry %q: %q is not a port", entry, p)
		}
		host, port = h, p
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		l.prefixes = append(l.prefixes, allowedPrefix{netip.PrefixFrom(a, a.BitLen()), port})
		return nil
	}
	name, suffix := strings.CutPrefix(host, "*.")
	if !validHostName(name) {
		return fmt.Errorf("allow-list entry %q is not an address, a CIDR, a host name or *.suffix", entry)
	}
	if name == "localhost" && !suffix {
		for _, p := range mustPrefixes("127.0.0.0/8", "::1/128") {
			l.prefixes = append(l.prefixes, allowedPrefix{p, port})
		}
	}
	l.hosts = append(l.hosts, allowedHost{name: name, suffix: suffix, port: port})
	return nil
}

func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}

func validHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	// A name of numbers is an address spelled the old way: its proper form is asked for.
	_, isNumber := parseHostAddr(s)
	return !isNumber
}

func (l *allowList) addr(a netip.Addr, port string) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l.prefixes {
		if (p.port == "" || p.port == port) && p.prefix.Contains(a) {
			return true
		}
	}
	return false
}

func (l *allowList) host(name, port string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for _, h := range l.hosts {
		if h.port != "" && h.port != port {
			continue
		}
		if !h.suffix && name == h.name || h.suffix && strings.HasSuffix(name, "."+h.name) {
			return true
		}
	}
	return false
}

// anyLoopback reports whether some loopback address is allowed on the port, so
// that the name localhost may be used for it.
func (l *allowList) anyLoopback(port string) bool {
	for _, p := range l.prefixes {
		if (p.port == "" || p.port == port) && p.prefix.Addr().IsLoopback() {
			return true
		}
	}
	return false
}
