package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

func mediaCommand(env Env) *cobra.Command {
	return resource("media", "What was attached to messages", verb{
		use: "get <id>", short: "Write the bytes of an attachment", args: cobra.ExactArgs(1),
		long: "  omni media get <id> --output photo.jpg\n\nThe id is in content.media of the message, once the attachment is fetched.",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringP("output", "o", "", "the file to write (default: standard output)")
		},
		run: func(c *call, args []string) error {
			resp, err := c.open(c, http.MethodGet, "/api/v1/media/"+url.PathEscape(args[0]), nil, nil)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			return writeTo(c, c.text("output"), resp.Body)
		},
	}.command(env))
}

// writeTo copies to a new file, or to standard output; half a file is removed.
func writeTo(c *call, path string, r io.Reader) error {
	if path == "" {
		_, err := io.Copy(c.out, r)
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	_, err = io.Copy(file, r)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}
