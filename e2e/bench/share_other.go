//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func makeLibrary([]string) error { return errors.ErrUnsupported }

func ran(context.Context, []string, io.Writer) error { return errors.ErrUnsupported }
