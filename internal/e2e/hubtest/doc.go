// Package hubtest is what the tests of whole hubs share: a client of the API, an
// AI service that answers as it is told, and a look at logs for races.
package hubtest
