// Package gate skips tests on machines that lack what they need, except where nothing may be skipped.
package gate

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// All reports whether nothing may be skipped: PLEXHA_E2E=all, as in CI.
func All() bool { return os.Getenv("PLEXHA_E2E") == "all" }

// Long reports whether tests with a load run for their whole time: with PLEXHA_E2E=all or PLEXHA_E2E_LONG set.
func Long() bool { return All() || os.Getenv("PLEXHA_E2E_LONG") != "" }

// Requirement is something that a test needs and that not every machine has.
type Requirement func() (lack string) // empty: it is there

// Need skips the test if a requirement is not met, and fails it if nothing may be skipped.
func Need(tb testing.TB, requirements ...Requirement) {
	tb.Helper()
	for _, lack := range requirements {
		why := lack()
		switch {
		case why == "":
		case All():
			tb.Fatalf("%s, and PLEXHA_E2E=all lets nothing be skipped", why)
		default:
			tb.Skip(why)
		}
	}
}

// Root is met if the test runs as root.
func Root() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	return ""
}

// Tool is met if the program is in PATH.
func Tool(name string) Requirement {
	return func() string {
		if _, err := exec.LookPath(name); err != nil {
			return "needs the program " + name
		}
		return ""
	}
}

// Namespaces is met if the test may make network namespaces and links between them.
func Namespaces() string {
	for _, lack := range []Requirement{Root, Tool("ip"), Tool("unshare")} {
		if why := lack(); why != "" {
			return why
		}
	}
	if err := exec.CommandContext(context.Background(), "unshare", "--net", "true").Run(); err != nil {
		return "needs network namespaces: " + err.Error()
	}
	return ""
}
