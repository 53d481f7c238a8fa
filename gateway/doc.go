// Package gateway is the door that speaks HTTP: OpenAI's API, the token services, health and metrics. A request comes in through
// one straight function, Server.serve: it is named, admitted, authenticated, read, decoded, run and settled, and whatever goes
// wrong on the way becomes one error in OpenAI's shape.
//
// The package starts no goroutine: every request runs on the one that net/http gives it. Its locks guard the count of running
// requests, the access log's writer and the certificate's reload; none is taken per token, nor is anything logged or allocated
// there. It never chooses a model's tokens, never reads a prompt for anything but handing it on, and writes neither prompts nor
// secrets to any log.
package gateway
