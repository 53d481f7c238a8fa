// Package peer starts programs that are measured beside Weir: it finds them, writes their configurations, waits until they answer, and ends
// them with all that they started. The drivers of the gateway table and of the flood share it.
//
// A Process has one goroutine, which waits for its end; nothing here has a lock. The package installs nothing, ends only what it started,
// and lets nothing listen beyond this machine.
package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Command is how a program is started.
type Command struct {
	Program string
	Args    []string
	Env     []string // beside what this process's environment tells, each NAME=value
}

// Site is where a program stands for one turn.
type Site struct {
	Dir      string // its own folder
	Program  string
	Addr     string // where it must listen, host:port
	Upstream string // of what it stands in front of, host:port
	Model    string // what the load asks for
	Key      string // what the load carries; it lets in nobody but this machine, for as long as a server runs
	Cores    int
	// Connections are what each worker must hold at once, to clients and upstreams together, where a program bounds them; 0 is 8192.
	Connections int
}

// Write puts a file into the site's folder.
func (s Site) Write(name, text string) (string, error) {
	file := filepath.Join(s.Dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// Most servers answer within a second. A gateway in Python imports for a quarter of a minute on a quiet machine.
const (
	StartMax     = 15 * time.Second
	SlowStartMax = 2 * time.Minute
)

// FreeAddr is a loopback address with a port that nobody listened on a moment ago.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Split takes an address of FreeAddr apart.
func Split(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic("an address of FreeAddr without a port: " + addr)
	}
	return host, port
}

// RaiseFileLimit lets this process and those it starts open as many files as they may: 500 streams are 1,000 sockets in a gateway, and
// the limit of a shell is often 1,024. Go raises its own limit silently but gives the old one to its children.
func RaiseFileLimit() {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return
	}
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil && !errors.Is(err, syscall.EPERM) {
		Say("open files stay limited: %v", err)
	}
}

// Say tells how far the run is; the table alone goes to standard output.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
