// Command omni is the hub between people on chat platforms and the AI agents
// that answer them.
package main

import (
	"context"
	"os"

	_ "github.com/omnihub/omni/channels/standard" // which channels this binary has
	"github.com/omnihub/omni/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.OSEnv()))
}
