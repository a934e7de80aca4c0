// Package blob keeps the bytes of attachments: on disk, below the data
// directory, one file each.
package blob
