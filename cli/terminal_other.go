//go:build !windows

package cli

import "os"

// understandsColours holds for every terminal outside of Windows but those that TERM calls dumb.
func understandsColours(*os.File) bool { return true }
