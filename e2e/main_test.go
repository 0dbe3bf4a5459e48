package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain makes this binary a stand-in if its parent, a test, wants one: a process of its own can be killed
// and frozen.
func TestMain(m *testing.M) {
	if kind := os.Getenv(envStandin); kind != "" {
		if err := serveStandin(kind, os.Getenv(envListen), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// Tests that run at once wait more than they compute. Those that measure the machine do not run at once.
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set("12")
	}
	code := m.Run()
	closeBrowser()
	programs.remove()
	os.Exit(code)
}
