// Command weir keeps LLM services fast and steady when traffic floods: a gateway, a scheduler and an embedded engine in one
// binary. It only hands over to package cli; what each command does is told by `weir --help`. It owns no goroutine.
package main

import (
	"os"

	"github.com/weir-ai/weir/cli"
)

// version is set by the release build (-ldflags "-X main.version=v1.2.3"); otherwise the build's own information is told.
var version string

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, version))
}
