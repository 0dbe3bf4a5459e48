package proxy_test

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// caddyContext returns what a module is provisioned with.
func caddyContext(t *testing.T) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	return ctx
}
