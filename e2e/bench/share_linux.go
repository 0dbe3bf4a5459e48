package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// makeLibrary makes a folder of small files in bundles of ten, as posters are in.
func makeLibrary(args []string) error {
	flags := flag.NewFlagSet("library", flag.ContinueOnError)
	files := flags.Int("files", 100_000, "how many")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return errUsage
	}
	content := []byte(strings.Repeat("poster. ", 512))
	for i := range *files {
		bundle := fmt.Sprintf("%08x.bundle", i/10)
		dir := filepath.Join(flags.Arg(0), "Movies", fmt.Sprintf("%x", i/10%16), bundle, "Contents", "_stored")
		if i%10 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, content[:1+i%len(content)], 0o644); err != nil { //nolint:gosec // as Plex does
			return err
		}
	}
	return nil
}

// ran runs a command, and prints the microseconds that it took, those until a file system was on the disk, its CPU in
// microseconds, and the most KiB that one of its processes had in memory.
func ran(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("ran", flag.ContinueOnError)
	disk := flags.String("sync", ".", "a folder of the file system")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return errUsage
	}
	folder, err := os.Open(*disk)
	if err != nil {
		return err
	}
	defer folder.Close()
	cmd := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...) //nolint:gosec // that is what it is for
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w", flags.Arg(0), err)
	}
	took := time.Since(begin)
	if err := unix.Syncfs(int(folder.Fd())); err != nil { //nolint:gosec // a descriptor fits
		return fmt.Errorf("writing to the disk: %w", err)
	}
	onDisk := time.Since(begin)
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage) //nolint:forcetypeassert // as its documentation says
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	_, err = fmt.Fprintln(stdout, took.Microseconds(), onDisk.Microseconds(), max(cpu.Microseconds(), 1), used.Maxrss)
	return err
}
