// Package activities is the catalogue of steps: for each its name, input,
// output, timeouts, queue and a typed stub that workflows call. It does no
// I/O; the implementations are in the packages below, one per room of the
// pipeline.
//
// Names and the JSON of inputs and outputs are wire format: histories and
// running executions hold them. Fields are added, never renamed, and a field's
// zero value means what it meant before the field existed.
package activities
