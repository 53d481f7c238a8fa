// Package sdktest proves that programs written for OpenAI's API work against Weir as they are: it builds weir, starts it as a user
// does, and asks it through the official Go, Python and Node SDKs and through LangChain. It is a module of its own, so that none of
// this is ever a dependency of Weir's.
//
// The Python and Node SDKs are installed with the versions that python/requirements.txt and node/package-lock.json name, into
// .cache/sdk of the checkout; nothing is put on the system. Where Python, Node or their registries cannot be reached, their tests skip
// and say what to install; with CI=true they fail instead.
//
// Every SDK passes the same list of checks (core, in checks_test.go) on servers of its own. The tests own the server processes that
// they start, and end them by SIGTERM. They never reach beyond this machine, but for an installation.
package sdktest
