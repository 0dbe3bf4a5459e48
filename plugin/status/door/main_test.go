package door_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"plexha/plugin/status/door"
)

// listenAt is the variable that makes the test's program one that listens at a socket until its input ends.
const listenAt = "DOOR_TEST_LISTEN_AT"

func TestMain(m *testing.M) {
	if path := os.Getenv(listenAt); path != "" {
		if err := standIn(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// standIn is another process that listens at a socket.
func standIn(path string) error {
	l, err := door.Listen(path)
	if err != nil {
		return err
	}
	if _, err := fmt.Println("listening"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return l.Close()
}
