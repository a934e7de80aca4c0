package channels

import (
	"errors"
	"fmt"
	"net/url"
)

// CheckFetchable reports why a URL can never be called from this hub: a scheme
// other than http and https, no host, or an address that outgoing calls may
// not reach (see CheckURL). The error is for people and names no secret.
func (c Config) CheckFetchable(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Error repeats the input, which may carry credentials.
		return errors.New("is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("has scheme %q; only http and https are called", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("has no host")
	}
	if c.CheckURL == nil {
		return nil
	}
	return c.CheckURL(rawURL)
}
