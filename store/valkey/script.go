package valkey

import (
	_ "embed"

	client "github.com/valkey-io/valkey-go"
)

var (
	//go:embed prelude.lua
	prelude string
	//go:embed take.lua
	takeLua string
	//go:embed adjust.lua
	adjustLua string
	//go:embed renew.lua
	renewLua string
	//go:embed load.lua
	loadLua string
	//go:embed read.lua
	readLua string
)

// scripts are what runs inside the server: each call is one script on one tenant's keys, which no other call interrupts.
type scripts struct {
	take, adjust, renew, load, read *client.Lua
}

func newScripts() scripts {
	of := func(body string) *client.Lua { return client.NewLuaScript(prelude + body) }
	return scripts{take: of(takeLua), adjust: of(adjustLua), renew: of(renewLua), load: of(loadLua), read: of(readLua)}
}
