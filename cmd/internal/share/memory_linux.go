package share

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// shrink takes out of this process's memory what only the start of the program has read of its file: plexctl holds all
// of Caddy and CoreDNS, whose tables are 45 MB, and none of them is needed here. What is used after all comes back
// from the page cache.
func shrink() {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return // it is a favour
	}
	defer maps.Close()
	for _, m := range untouched(maps, executable()) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) // as above
	}
}

// executable returns the name of the program's file, as the kernel has it.
func executable() string {
	name, _ := os.Readlink("/proc/self/exe") // no mapping has an empty name and a file
	return name
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// untouched returns the mappings of a file, of those that an smaps of proc(5) tells of, that hold nothing but what is in
// the file: they cannot be written, and never were, as those are in which a linker's relocations stand, be it in memory or
// swapped out.
func untouched(smaps io.Reader, file string) (all []mapping) {
	var at mapping
	ours := false
	none := func(kb string) bool { return strings.TrimSpace(kb) == "0 kB" }
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		var next mapping
		var rights, offset, device, node string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s", &next.from, &next.to, &rights, &offset, &device, &node); n == 6 {
			_, name, _ := strings.Cut(line, " "+node+" ")
			fixed := strings.HasPrefix(rights, "r-") && strings.HasSuffix(rights, "p")
			at, ours = next, fixed && file != "" && strings.TrimSpace(name) == file
		} else if kb, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			ours = ours && none(kb)
		} else if kb, ok := strings.CutPrefix(line, "Swap:"); ok && ours && none(kb) { // behind the other
			all = append(all, at)
		}
	}
	return all
}
