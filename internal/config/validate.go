package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// minKeyLength keeps the bootstrap key from being guessed.
const minKeyLength = 16

var (
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// checks say, for each kind, what is wrong with a value ("must be …"), or "".
// None quotes the value, which may hold a password.
var checks = map[string]func(text string) string{
	"": func(string) string { return "" },
	"host": func(text string) string {
		if net.ParseIP(text) == nil && !hostPattern.MatchString(text) {
			return "must be an IP address or a host name"
		}
		return ""
	},
	"port": func(text string) string {
		if port, err := strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
			return "must be a port: 0 (a free one) to 65535"
		}
		return ""
	},
	"key": func(text string) string {
		if len([]rune(text)) < minKeyLength {
			return fmt.Sprintf("must have %d or more characters", minKeyLength)
		}
		return ""
	},
	"base64-32": func(text string) string {
		if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) != 32 {
			return "must be 32 bytes in base64 (openssl rand -base64 32)"
		}
		return ""
	},
	"path": func(text string) string {
		if strings.ContainsRune(text, 0) {
			return "must be a path"
		}
		return ""
	},
	"name": func(text string) string {
		if !namePattern.MatchString(text) {
			return "must be letters, digits, dots, dashes and underscores"
		}
		return ""
	},
	"http-url": func(text string) string {
		if !isURL(text, "http", "https") {
			return "must be a URL that begins with http:// or https://"
		}
		return ""
	},
	"postgres-url": func(text string) string {
		if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
			return "must be a URL that begins with postgres://"
		}
		return ""
	},
	"nats-url": func(text string) string {
		for server := range strings.SplitSeq(text, ",") {
			if !isURL(strings.TrimSpace(server), "nats", "tls", "ws", "wss") {
				return "must be a URL that begins with nats:// (or tls://, ws://, wss://)"
			}
		}
		return ""
	},
	"address": func(text string) string {
		host, port, err := net.SplitHostPort(text)
		if number, numErr := strconv.Atoi(port); err != nil || host == "" || numErr != nil || number < 1 || number > 65535 {
			return "must be host:port"
		}
		return ""
	},
	"cidrs": func(text string) string {
		for item := range strings.SplitSeq(text, ",") {
			if _, ok := parseCIDR(item); !ok && strings.TrimSpace(item) != "" {
				return "must be CIDRs and addresses separated by commas"
			}
		}
		return ""
	},
	"networks": func(text string) string {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" && !isNetwork(item) {
				return "must be hosts, addresses and CIDRs separated by commas"
			}
		}
		return ""
	},
}

// check validates the field's value; an empty one is left to its user.
func (f field) check(c *Config) error {
	text := f.text(c)
	if text == "" {
		return nil
	}
	problem := ""
	if choices, found := strings.CutPrefix(f.kind, "one-of:"); found {
		if !slices.Contains(strings.Split(choices, ","), text) {
			problem = "must be one of " + strings.ReplaceAll(choices, ",", ", ")
		}
	} else {
		problem = checks[f.kind](text)
	}
	if problem != "" {
		return fmt.Errorf("%s %s", f.env, problem)
	}
	return nil
}

func isURL(text string, schemes ...string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Host != "" && slices.Contains(schemes, parsed.Scheme)
}

// parseCIDR reads a network; an address is one by itself.
func parseCIDR(item string) (netip.Prefix, bool) {
	item = strings.TrimSpace(item)
	if a, err := netip.ParseAddr(item); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(item)
	return p.Masked(), err == nil
}

func isNetwork(item string) bool {
	if _, err := netip.ParsePrefix(item); err == nil {
		return true
	}
	host := item
	if h, _, err := net.SplitHostPort(item); err == nil {
		host = h
	}
	host = strings.TrimPrefix(host, "*.")
	return net.ParseIP(strings.Trim(host, "[]")) != nil || hostPattern.MatchString(host)
}
