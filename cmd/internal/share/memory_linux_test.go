package share_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/share"
)

// smaps is what proc(5) has of a program: its text, what a linker has written before it was made read-only, its data,
// relocations that are swapped out, a library.
const smaps = `00400000-03a2c000 r-xp 00000000 fe:00 1234                               /usr/bin/a program
Size:              55472 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
03a2c000-03b00000 r--p 0362b000 fe:00 1234                               /usr/bin/a program
Private_Dirty:        12 kB
Anonymous:            12 kB
Swap:                  0 kB
03b00000-03c00000 rw-p 036ff000 fe:00 1234                               /usr/bin/a program
Anonymous:             0 kB
Swap:                  0 kB
03c00000-03d00000 r--s 037ff000 fe:00 1234                               /usr/bin/a program
Anonymous:             0 kB
Swap:                  0 kB
c000000000-c000400000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
Swap:                  0 kB
04000000-04100000 r--p 03aff000 fe:00 1234                               /usr/bin/a program
Anonymous:             0 kB
Swap:                 12 kB
7f0000000000-7f0000010000 r--p 00000000 fe:00 99                         /usr/lib/libc.so.6
Anonymous:             0 kB
Swap:                  0 kB
`

// TestUntouched: only what comes back from the program's file is taken out of memory.
func TestUntouched(t *testing.T) {
	got := share.Untouched(strings.NewReader(smaps), "/usr/bin/a program")
	if diff := cmp.Diff([][2]uintptr{{0x400000, 0x3a2c000}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := share.Untouched(strings.NewReader(smaps), ""); len(got) > 0 {
		t.Errorf("%v is taken out of the memory of a program without a file", got)
	}
}

// TestShrink: a program goes on as before, in less memory.
func TestShrink(t *testing.T) {
	if os.Getenv(envShrink) != "" {
		was := resident(t)
		share.Shrink()
		t.Logf("%d KiB are %d", was, resident(t))
		if now := resident(t); now >= was {
			t.Errorf("%d KiB are in memory, and were %d", now, was)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShrink$", "-test.v") // what runs beside it would count, too
	cmd.Env = append(os.Environ(), envShrink+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestShrink") {
		t.Errorf("%v\n%s", err, out)
	}
}

// envShrink has this binary be a program that shrinks.
const envShrink = "PLEXHA_SHARE_SHRINK"

// resident returns how many KiB of this program are in memory.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
