package proxy_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain leaves out what Caddy itself does not wait for when it is stopped: a lock file is kept fresh every five
// seconds, an authority is looked at now and then, and net/http looks twice a second for connections that are left.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddypki.(*PKI).maintenanceForCA"),
		goleak.IgnoreAnyFunction("net/http.(*Server).Shutdown"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp.(*App).stop.func4"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp.(*App).stop.func1.1"),
	)
}
