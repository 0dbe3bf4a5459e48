package share_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"plexha/cmd/internal/share"
)

// envApply has this binary be a plexctl share apply, whose memory can be measured: the arguments, a line each.
const envApply = "PLEXHA_SHARE_APPLY"

func TestMain(m *testing.M) {
	if args := os.Getenv(envApply); args != "" {
		run := (&share.Commands[1]).Run
		if err := run(context.Background(), strings.Split(args, "\n"), os.Stdin, io.Discard, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// manyFiles makes a library like one of posters: small files in bundles of ten.
func manyFiles(tb testing.TB, metadata string, n int) {
	tb.Helper()
	content := []byte(strings.Repeat("poster. ", 512))
	for i := range n {
		dir := filepath.Join(metadata, "Movies", fmt.Sprintf("%x", i/10%16), fmt.Sprintf("%08x.bundle", i/10), "Contents", "_stored")
		if i%10 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				tb.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), content[:1+i%len(content)], 0o644); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkCopy copies 100,000 small files as an apply does, with its plan, its journal and its look at what it has
// written, beside the tools that people take, which do neither. Set PLEXHA_SHARE_FILES for another number, and TMPDIR
// for another disk.
func BenchmarkCopy(b *testing.B) {
	files := 100_000
	if n, err := strconv.Atoi(os.Getenv("PLEXHA_SHARE_FILES")); err == nil {
		files = n
	}
	root := b.TempDir()
	source := filepath.Join(root, "one", library)
	manyFiles(b, filepath.Join(source, "Metadata"), files)
	tools := []struct {
		name string
		args func(to string) []string
	}{
		{"cp", func(to string) []string { return []string{"-a", filepath.Join(source, "Metadata"), to} }},
		{"rsync", func(to string) []string { return []string{"-aH", filepath.Join(source, "Metadata"), to} }},
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool.name); err != nil {
			b.Logf("%s is not here to be measured", tool.name)
			continue
		}
		for _, synced := range []bool{false, true} {
			name := tool.name
			if synced {
				name += " and sync"
			}
			b.Run(name, func(b *testing.B) {
				measure(b, root, func(to string) *exec.Cmd {
					b.StopTimer()
					if err := os.Mkdir(to, 0o755); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					return exec.CommandContext(b.Context(), tool.name, tool.args(to)...)
				}, synced, files)
			})
		}
	}
	b.Run("share", func(b *testing.B) {
		measure(b, root, func(to string) *exec.Cmd {
			cmd := exec.CommandContext(b.Context(), os.Args[0])
			args := []string{"-copy", "-metadata-only", "-into", to, "-node", "one=" + filepath.Join(root, "one")}
			cmd.Env = append(os.Environ(), envApply+"="+strings.Join(args, "\n"))
			return cmd
		}, false, files)
	})
}

// measure runs a command that copies to a new folder. What was written before does not count.
func measure(b *testing.B, root string, command func(to string) *exec.Cmd, synced bool, files int) {
	var memory int64
	n := 0
	for b.Loop() {
		b.StopTimer()
		to := filepath.Join(root, fmt.Sprintf("copy%d", n))
		n++
		syncDisk(b, root)
		b.StartTimer()
		cmd := command(to)
		out, err := cmd.CombinedOutput()
		if synced {
			syncDisk(b, root)
		}
		b.StopTimer()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		memory = max(memory, int64(used.Maxrss)) //nolint:unconvert // it has 32 bits elsewhere
		undo(b, root, to)
		b.StartTimer()
	}
	b.ReportMetric(float64(memory)/1024, "MB")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(files), "µs/file")
	b.ReportMetric(float64(runtime.NumCPU()), "cpus")
}

// syncDisk writes the file system of a folder to its disk.
func syncDisk(b *testing.B, folder string) {
	b.Helper()
	f, err := os.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		b.Fatal(err)
	}
}

// undo removes a copy, and puts the original back where it was.
func undo(b *testing.B, root, to string) {
	b.Helper()
	if err := os.RemoveAll(to); err != nil {
		b.Fatal(err)
	}
	kept, _ := filepath.Glob(filepath.Join(root, "one", library, "Metadata.pre-share-*"))
	for _, name := range kept {
		point := filepath.Join(root, "one", library, "Metadata")
		if err := os.Remove(point); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(name, point); err != nil {
			b.Fatal(err)
		}
	}
}
