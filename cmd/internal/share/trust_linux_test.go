package share_test

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/share"
)

// another is a system on which what was opened last belongs to somebody else.
type another struct{ *mortal }

func (a another) StatHandle(h share.Handle) (share.Stat, error) {
	st, err := a.mortal.StatHandle(h)
	if a.names[h] == ".plexha-share" {
		st.UID = 4242
	}
	return st, err
}

// TestJournalOfOthers: a journal that somebody else can have written says nothing.
func TestJournalOfOthers(t *testing.T) {
	tests := []struct {
		name  string
		begin func(journal string) error
		sys   share.System
		want  string
	}{
		{
			name:  "everybody writes the folder",
			begin: func(journal string) error { return os.Chmod(filepath.Dir(journal), 0o777) }, //nolint:gosec // that is the case
			want:  "/both/.plexha-share is not relied on: others than its owner may have written it",
		},
		{
			name:  "the group writes the journal",
			begin: func(journal string) error { return os.Chmod(journal, 0o660) },
			want:  "/both/.plexha-share/journal is not relied on: others than its owner may have written it",
		},
		{
			name:  "the journal has another name",
			begin: func(journal string) error { return os.Link(journal, journal+"-2") },
			want:  "journal is not relied on",
		},
		{
			name: "another user's folder", begin: func(string) error { return nil }, sys: another{mortalAt(0, before)},
			want: "/both/.plexha-share is not relied on: it belongs to user 4242",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir())
			if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
				t.Fatal(err)
			}
			h.must(tt.begin(filepath.Join(h.root, "both", ".plexha-share", "journal")))
			was := h.look()
			for _, word := range []string{"status", "undo", "apply"} {
				sys := tt.sys
				if sys == nil {
					sys = share.ThisSystem()
				}
				if _, err := h.share(sys, word); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", word, err, tt.want)
				}
			}
			if diff := cmp.Diff(was, h.look()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestForgedJournal: whoever wrote it, a journal is followed only to where a plan leads.
func TestForgedJournal(t *testing.T) {
	const home = "one/" + library
	tests := []struct {
		name           string
		root           string // below the house
		shared, home   string
		from, to, twin string
		fine           bool
	}{
		{name: "what a plan does", shared: "both", home: home, from: home + "/Media", to: "both/Media", fine: true},
		{name: "what is kept", shared: "both", home: home, from: home + "/Media", to: home + "/Media.pre-share-T", fine: true},
		{name: "a file beside", shared: "both", home: home, from: "secret", to: "both/Media"},
		{name: "a file above", shared: "both", home: home, from: home + "/Media/../../secret", to: "both/Media"},
		{name: "the server's own", shared: "both", home: home, from: home + "/Preferences.xml", to: "both/Media"},
		{name: "to elsewhere", shared: "both", home: home, from: home + "/Media", to: "etc"},
		{name: "a link of a file beside", shared: "both", home: home, from: home + "/Media", to: "both/Media", twin: "secret"},
		{name: "a wider parent", root: "..", shared: "HERE/both", home: "HERE/" + home, from: "HERE/" + home + "/Media", to: "HERE/both/Media"},
		{name: "a folder above", shared: "both", home: "../one", from: "../one/Media", to: "both/Media"},
		{name: "all", shared: "both", home: ".", from: "Media", to: "both/Media"},
		{name: "no node", shared: "both", from: "both/Media/a", to: "both/Media/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir())
			h.put("secret", "secret", 1)
			b64 := func(name string) string {
				name = strings.ReplaceAll(name, "HERE", filepath.Base(h.root))
				return base64.StdEncoding.EncodeToString([]byte(name))
			}
			homes := ""
			if tt.home != "" {
				homes = fmt.Sprintf(`"one":%q`, b64(tt.home))
			}
			twins := ""
			if tt.twin != "" {
				twins = fmt.Sprintf(`,"twins":[{"File":%q,"Of":%q}]`, b64(tt.twin), b64(tt.twin))
			}
			lines := []string{
				`{"version":1}`,
				fmt.Sprintf(`{"run":{"at":"2026-01-01T00:00:00Z","stamp":"T","mode":"bind","root":%q,"shared":%q,"parts":["Media"],"homes":{%s}}}`,
					b64(filepath.Join(h.root, tt.root)), b64(tt.shared), homes),
				fmt.Sprintf(`{"op":{"do":"move","from":%q,"to":%q%s}}`, b64(tt.from), b64(tt.to), twins),
				`{"go":true}`,
			}
			var content strings.Builder
			for _, line := range lines {
				fmt.Fprintf(&content, "%08x %s\n", crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)), line)
			}
			own := filepath.Join(h.root, "both", ".plexha-share")
			h.must(os.MkdirAll(own, 0o700))
			h.must(os.WriteFile(filepath.Join(own, "journal"), []byte(content.String()), 0o600))
			h.nodes = nil
			was := h.look()
			for _, word := range []string{"status", "apply", "undo"} {
				_, err := h.share(share.ThisSystem(), word)
				if refused := err != nil && strings.Contains(err.Error(), "the journal is of no plan that plexctl makes"); refused == tt.fine {
					t.Errorf("%s: %v, want it refused: %t", word, err, !tt.fine)
				}
			}
			if diff := cmp.Diff(was, h.look()); !tt.fine && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
