// Package safehttp makes HTTP clients that cannot be talked into calling the
// hub's own network.
//
// Whatever a user configures or a platform sends may be a URL: callbacks,
// agents, media. A Guard refuses every address that is not public (loopback,
// private, link-local, carrier-grade NAT, cloud metadata, multicast, reserved)
// unless an allow-list names it. The check that counts is made on the address
// being dialled, after name resolution, so neither a redirect nor a name that
// changes its address between two look-ups gets around it. CheckURL is the
// courtesy check at the moment a URL is configured.
package safehttp
