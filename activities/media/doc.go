// Package media is steps media.*: what is attached to a message?
package media
