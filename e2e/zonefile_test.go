package e2e_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestZoneFilesAreFollowed changes zone files in every way in which people and programs do. The block has no
// `reload`: its zone files are followed all the same.
func TestZoneFilesAreFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inFile, outFile := filepath.Join(dir, "inside.zone"), filepath.Join(dir, "mounted", "outside.zone")
	writeFile(t, inFile, boxAt(1))
	mount(t, filepath.Dir(outFile), "outside.zone", boxAt(101))
	h := newHome(t, homeConfig{still: true, lines: []string{"zonefile internal " + inFile, "zonefile external " + outFile}})
	box := func(from netip.Addr, want byte) {
		t.Helper()
		eventually(t, 5*time.Second, func() error { return h.hasBox(from, want) })
	}
	box(inside, 1)
	box(outside, 101)

	writeFile(t, inFile, boxAt(2)) // a rename over it
	box(inside, 2)

	overwrite(t, inFile, boxAt(3))
	box(inside, 3)

	overwrite(t, inFile, boxAt(4)+"box 10 IN A nowhere\n")
	told := inFile + ": dns: bad A A: \"nowhere\""
	eventually(t, 5*time.Second, func() error {
		if out := h.dns.proc.output; out.count(told) == 0 || out.count("its last good reading stays in use") == 0 {
			return errors.New("the log does not say " + told)
		}
		return nil
	})
	box(inside, 3)

	if err := os.Remove(inFile); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		if h.dns.proc.output.count("no such file or directory: its last good reading stays in use") == 0 {
			return errors.New("the log does not say that the file is missing")
		}
		return nil
	})
	box(inside, 3)

	writeFile(t, inFile, boxAt(5)) // mended
	box(inside, 5)

	mount(t, filepath.Dir(outFile), "outside.zone", boxAt(102))
	box(outside, 102)
	box(inside, 5)
	if n := h.dns.proc.output.count("Reloading"); n > 0 {
		t.Errorf("the Corefile was read again %d times", n)
	}
}

// boxAt is a zone file with a box at that address.
func boxAt(n byte) string { return fmt.Sprintf("box 10 IN A 192.0.2.%d\n", n) }

// hasBox tells whether a client is told that the box is at that address.
func (h *home) hasBox(from netip.Addr, n byte) error {
	m, err := h.dns.tryAsk(from, "box."+zone, dns.TypeA)
	if err != nil {
		return err
	}
	return wantAddrs(netip.AddrFrom4([4]byte{192, 0, 2, n}))(m)
}

// overwrite writes a file in place.
func overwrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mount puts a file into a folder as Kubernetes mounts a ConfigMap: it is a link through the link "..data",
// which is swapped for one to a new folder, while the file's own link stays.
func mount(t *testing.T, dir, name, content string) {
	t.Helper()
	version := fmt.Sprintf("..%d", time.Now().UnixNano())
	err := os.MkdirAll(filepath.Join(dir, version), 0o700)
	if err == nil {
		overwrite(t, filepath.Join(dir, version, name), content)
		data, next := filepath.Join(dir, "..data"), filepath.Join(dir, "..data_tmp")
		err = errors.Join(os.Symlink(version, next), os.Rename(next, data))
	}
	if link := filepath.Join(dir, name); err == nil {
		if _, missing := os.Lstat(link); missing != nil {
			err = os.Symlink(filepath.Join("..data", name), link)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
