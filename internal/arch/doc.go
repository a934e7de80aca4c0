// Package arch holds no code, only the test that keeps the table of who may
// import whom. depguard (.golangci.yml) shows the same rules in the editor.
package arch
