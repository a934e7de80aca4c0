// Package problem is how every error of the HTTP API looks: RFC 9457
// application/problem+json with a stable code, a detail for people, the fields
// that are wrong, and the request's id.
package problem
