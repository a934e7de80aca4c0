// Package config is Omni's configuration: one struct whose tags are the
// single source for reading, validating, printing and documenting it.
//
// Values come from the environment, then from a .env file in the working
// directory. Every variable X may be given as X_FILE instead: the path of a
// file that holds the value.
package config
