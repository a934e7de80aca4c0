package safehttp

import (
	"net/netip"
	"strconv"
	"strings"
)

// refusedPrefixes are the ranges that netip has no predicate for.
var refusedPrefixes = mustPrefixes(
	"0.0.0.0/8",       // "this network": Linux connects it to loopback
	"100.64.0.0/10",   // carrier-grade NAT; some clouds keep metadata there
	"192.0.0.0/24",    // IETF protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relay
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"240.0.0.0/4",     // reserved, broadcast
	"100::/64",        // discard
	"2001::/32",       // Teredo
	"2001:db8::/32",   // documentation
	"3fff::/20",       // documentation
	"5f00::/16",       // segment routing
	"64:ff9b:1::/48",  // local-use translation
	"fec0::/10",       // site-local
)

// translated are IPv6 ranges that carry an IPv4 address, with the byte where it begins.
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible
}

func mustPrefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// refusal says why an address is not public, or "" if it is.
func refusal(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return "not an address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsPrivate():
		return "a private address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	}
	for _, p := range refusedPrefixes {
		if p.Contains(a) {
			return "a reserved address"
		}
	}
	for _, t := range translated {
		if t.prefix.Contains(a) {
			b := a.As16()
			if why := refusal(netip.AddrFrom4([4]byte(b[t.at : t.at+4]))); why != "" {
				return why + " in IPv6 clothes"
			}
		}
	}
	return ""
}

// parseHostAddr reads a host that is an address, including the old spellings
// that C libraries still resolve: 2130706433, 0x7f.1, 0177.0.0.1. isNumber is
// true for hosts that end in a number, which can only be addresses.
func parseHostAddr(host string) (addr netip.Addr, isNumber bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if _, ok := parseLegacyNumber(parts[len(parts)-1]); !ok {
		return netip.Addr{}, false
	}
	if len(parts) > 4 {
		return netip.Addr{}, true
	}
	var v uint64
	for i, p := range parts {
		n, ok := parseLegacyNumber(p)
		if !ok {
			return netip.Addr{}, true
		}
		if i < len(parts)-1 {
			if n > 255 {
				return netip.Addr{}, true
			}
			v |= n << (8 * (3 - i))
			continue
		}
		// The last number fills all the bytes that are left.
		if n >= 1<<(8*(4-i)) {
			return netip.Addr{}, true
		}
		v |= n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// parseLegacyNumber reads a decimal, octal (0…) or hexadecimal (0x…) number.
func parseLegacyNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case s == "":
		return 0, false
	case len(s) > 1 && (s[:2] == "0x" || s[:2] == "0X"):
		s, base = s[2:], 16
		if s == "" {
			return 0, true
		}
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}
