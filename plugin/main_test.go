package plugin_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if anything of ours still runs when all servers have been stopped.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// CoreDNS stops these in a finalizer.
		goleak.IgnoreAnyFunction("github.com/coredns/coredns/plugin/pkg/proxy.(*Transport).connManager"))
}
