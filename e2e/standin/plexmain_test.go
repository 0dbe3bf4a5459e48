package standin_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"plexha/e2e/standin"
)

// envPlex holds the options of a stand-in that this binary is to be.
const envPlex = "PLEXHA_STANDIN_PLEX"

// TestMain makes this binary a stand-in if its parent, a test, wants one.
func TestMain(m *testing.M) {
	if options := os.Getenv(envPlex); options != "" {
		if err := standin.ServePlex(context.Background(), options, "127.0.0.1:0", os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
