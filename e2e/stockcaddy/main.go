// Command stockcaddy is Caddy as it is released, with its standard modules and none of ours: what plexproxy is
// measured against.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // all modules
)

func main() { caddycmd.Main() }
