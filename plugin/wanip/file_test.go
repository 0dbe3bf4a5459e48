package wanip_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

func TestFileIsReadAnewEachTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "address")
	source := wanip.FileSource(corefile.Source{Kind: "file", Args: []string{name}})
	if source.Nature != wanip.Word || !source.Secure || source.Name != "file "+name {
		t.Errorf("source %q of nature %v, secure %v", source.Name, source.Nature, source.Secure)
	}
	if _, err := source.Ask(t.Context(), via.Path{}, zones.IPv4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	for _, tc := range ownWords {
		if err := os.WriteFile(name, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for f, want := range map[zones.Family]string{zones.IPv4: tc.ipv4, zones.IPv6: tc.ipv6} {
			if got := words(source.Ask(t.Context(), via.Path{}, f)); got != want {
				t.Errorf("%s, %v: %s, want %s", tc.name, f, got, want)
			}
		}
	}
}

func TestFileThatIsNone(t *testing.T) {
	for name, at := range map[string]string{"a folder": t.TempDir(), "a device": os.DevNull} {
		source := wanip.FileSource(corefile.Source{Kind: "file", Args: []string{at}})
		if got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4)); !strings.HasSuffix(got, "no regular file") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
