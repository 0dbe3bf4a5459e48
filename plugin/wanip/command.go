package wanip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

const (
	// commandTimeout bounds a command that was given more time, or none. A round should not wait longer.
	commandTimeout = 5 * time.Second
	// commandLinger bounds how long a command's children may hold its output when it has ended or was killed.
	commandLinger = 500 * time.Millisecond
)

// commandSource is a program of the operator's, run anew each time and without a shell. See [addrIn] for what it
// prints. In its environment PLEXHA_UPLINK is the uplink's name, PLEXHA_VIA its interface, if it has one, and
// PLEXHA_FAMILY the family that is asked for, ipv4 or ipv6.
func commandSource(s corefile.Source) Source {
	return Source{
		Name: s.String(), Operator: s.Operator(), Nature: Word, Secure: s.Secure(),
		Ask: func(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
			env := append(os.Environ(),
				"PLEXHA_UPLINK="+uplinkOf(ctx), "PLEXHA_VIA="+path.Interface, "PLEXHA_FAMILY="+f.String())
			text, err := output(ctx, s.Args, env)
			if err != nil {
				return netip.Addr{}, err
			}
			return addrIn(text, f)
		},
	}
}

// output runs a program and returns what it has printed, a byte more than it may print at the most.
func output(ctx context.Context, argv, env []string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTimeout, fmt.Errorf("no end within %v", commandTimeout))
	defer cancel()
	var stdout, stderr short
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own command
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	cmd.WaitDelay = commandLinger
	ownGroup(cmd)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		_ = killGroup(cmd) // as good as it goes: the error is told
	}
	if err != nil {
		return nil, commandError(ctx, err, stderr.kept)
	}
	return stdout.kept, nil
}

// commandError says how a command has ended, with the first line of what it has complained about, but without its
// words, which may hold a password.
func commandError(ctx context.Context, err error, stderr []byte) error {
	said := ""
	if line, _, _ := strings.Cut(strings.TrimSpace(string(stderr)), "\n"); line != "" {
		said = fmt.Sprintf(": %q", cut(line))
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("running the command: %w%s", context.Cause(ctx), said)
	case errors.Is(err, exec.ErrWaitDelay):
		return errors.New("running the command: it has left a process behind that holds its output")
	default:
		return fmt.Errorf("running the command: %w%s", err, said)
	}
}

// short keeps the beginning of what is written to it, a byte more than [maxText] so that more shows, and takes
// the rest without keeping it. It is no [bytes.Buffer]: [io.Copy] would fill that by itself.
type short struct{ kept []byte }

func (s *short) Write(p []byte) (int, error) {
	room := maxText + 1 - len(s.kept)
	s.kept = append(s.kept, p[:min(room, len(p))]...)
	return len(p), nil
}
