//go:build !linux

package share

import (
	"errors"
	"fmt"
)

// thisSystem is for Linux alone: elsewhere the error is [errors.ErrUnsupported].
func thisSystem() (System, error) {
	return nil, fmt.Errorf("sharing folders: %w: run plexctl share on the Linux machine that holds them", errors.ErrUnsupported)
}

func noRoom(error) bool    { return false }
func elsewhere(error) bool { return false }
func notEmpty(error) bool  { return false }
func privileged() bool     { return false }
