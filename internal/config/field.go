package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is one variable: its tags, and its place in a Config.
type field struct {
	env, defaultValue, doc, section, secret, kind string

	index int
}

// fields lists the variables in the order of the struct.
func fields() []field {
	t := reflect.TypeFor[Config]()
	out := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if tag.Get("env") == "" {
			continue
		}
		out = append(out, field{
			env: tag.Get("env"), defaultValue: tag.Get("default"), doc: tag.Get("doc"),
			section: tag.Get("section"), secret: tag.Get("secret"), kind: tag.Get("kind"), index: i,
		})
	}
	return out
}

// set parses text into the field. Errors say what the value must be, never
// what it is: it may be a secret.
func (f field) set(c *Config, text string) error {
	value := reflect.ValueOf(c).Elem().Field(f.index)
	switch value.Interface().(type) {
	case string:
		value.SetString(text)
	case int:
		number, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s must be a whole number", f.env)
		}
		value.SetInt(int64(number))
	case []string:
		var items []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		value.Set(reflect.ValueOf(items))
	default:
		panic("config: no parser for the type of " + f.env)
	}
	return nil
}

// text is the value as it would be written in the environment.
func (f field) text(c *Config) string {
	switch value := reflect.ValueOf(c).Elem().Field(f.index).Interface().(type) {
	case string:
		return value
	case int:
		return strconv.Itoa(value)
	case []string:
		return strings.Join(value, ",")
	default:
		panic("config: no printer for the type of " + f.env)
	}
}
