package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsColours asks a console for escape sequences, which those before Windows Terminal interpret only on request; false where
// it cannot.
func understandsColours(f *os.File) bool {
	var mode uint32
	if err := windows.GetConsoleMode(windows.Handle(f.Fd()), &mode); err != nil {
		return true // a terminal of another kind, such as Cygwin's
	}
	return windows.SetConsoleMode(windows.Handle(f.Fd()), mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
