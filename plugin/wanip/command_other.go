//go:build !unix

package wanip

import "os/exec"

// ownGroup does nothing: there are no process groups here.
func ownGroup(*exec.Cmd) {}

// killGroup does nothing either.
func killGroup(*exec.Cmd) error { return nil }
