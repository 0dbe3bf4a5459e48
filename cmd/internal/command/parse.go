package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"plexha/corefile"
)

// UsageError is a mistake in the arguments.
type UsageError struct{ Err error }

// Unwrap returns Err.
func (e *UsageError) Unwrap() error { return e.Err }

// Error implements error.
func (e *UsageError) Error() string { return "reading the arguments: " + e.Err.Error() }

// Usagef returns a [*UsageError].
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// ExitError is an end with an exit code of its own. Without Err it has been explained already.
type ExitError struct {
	Code int
	Err  error
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Code returns the exit code for what a command has returned.
func Code(err error) int {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	if err != nil {
		return 1
	}
	return 0
}

// Parse reads the arguments of a command. Flags may stand before, between and behind the others, which are
// returned; what follows -- is none. The error is [flag.ErrHelp] or a [*UsageError].
func Parse(args []string, define func(*flag.FlagSet)) (rest []string, err error) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	define(set)
	for {
		if err := set.Parse(args); err != nil {
			return nil, usage(set, err)
		}
		read := len(args) - set.NArg()
		if read > 0 && args[read-1] == "--" {
			return append(rest, set.Args()...), nil
		}
		if set.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, set.Arg(0)), set.Args()[1:]
	}
}

// usage returns what is wrong with the flags, with the nearest one if there is none of that name.
func usage(set *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if _, name, ok := strings.Cut(err.Error(), "flag provided but not defined: -"); ok {
		var names []string
		set.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return Usagef("%w%s", err, meant("-", name, names))
	}
	return &UsageError{err}
}

// leastRead is how many letters must be read to guess what was meant.
const leastRead = 3

// meant returns a hint at the word that comes nearest to what was read, or nothing.
func meant(prefix, read string, words []string) string {
	if word := corefile.Nearest(read, words); word != "" && len(read) >= leastRead {
		return fmt.Sprintf(": did you mean %s%s?", prefix, word)
	}
	return ""
}
