package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"plexha/corefile/lint"
)

const checkDir = "testdata/check"

// TestCheck: what is wrong or unwise in a Corefile is named, each at its line, and nothing else is.
func TestCheck(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(checkDir + "/*.corefile")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d Corefiles, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".corefile"), func(t *testing.T) {
			t.Parallel()
			out, code := check(t, name)
			got := fmt.Appendf(out, "exit code %d\n", code)
			golden := strings.TrimSuffix(file, "corefile") + "txt"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil { //nolint:gosec // it is for everybody
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got, -update writes it anew):\n%s", diff)
			}
		})
	}
}

// TestCheckRefusesWhatPlexdnsRefuses: a Corefile that plexdns does not start with has that mistake, in the same words.
func TestCheckRefusesWhatPlexdnsRefuses(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d bad Corefiles, %v", len(files), err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "Corefile"), archive.Files[0].Data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := checkIn(t, dir)
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1", file, code)
		}
		for said := range strings.Lines(strings.TrimPrefix(string(archive.Files[1].Data), "plexdns: plugin/plex: ")) {
			place, text, _ := strings.Cut(strings.TrimSpace(said), ": ")
			if want := place + ": mistake: " + text + " ["; !strings.Contains(string(out), want) {
				t.Errorf("%s: want %q in\n%s", file, want, out)
			}
		}
	}
}

// check runs plexctl check in the folder of its Corefiles.
func check(t *testing.T, args ...string) (out []byte, code int) {
	t.Helper()
	return checkIn(t, checkDir, args...)
}

func checkIn(t *testing.T, dir string, args ...string) (out []byte, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), append([]string{"check"}, args...)...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errs.Len() > 0 {
		t.Errorf("standard error: %s", &errs)
	}
	return out, exitCode(err)
}

// TestCheckSpeaksJSON: programs are told the same as people.
func TestCheckSpeaksJSON(t *testing.T) {
	t.Parallel()
	text, code := check(t, "-json", "-strict", "token.corefile")
	if code != 1 {
		t.Errorf("-strict with a warning ends with code %d", code)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := map[string]any{
		"version": 1.0, "files": []any{"token.corefile"},
		"findings": []any{map[string]any{
			"file": "token.corefile", "line": 8.0, "level": "warning", "code": "token",
			"text": "duckdns: the token stands in the Corefile, where everybody has it who gets to see that: " +
				"write token_file FILE, a file with mode 0600",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(string(text), "11111111-2222") {
		t.Errorf("it shows the token:\n%s", text)
	}
}

// TestProgramsSayWhatCheckSays: each program says at its start, word for word, what of check's findings concerns it,
// and nothing of what concerns the other alone.
func TestProgramsSayWhatCheckSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, lines, plugins string }{
		{"nothing", "tls off\ntrusted_proxies 127.0.0.1\nfallthrough", "forward . 127.0.0.1:1\nerrors\nreload"},
		{"much", "tls internal\nttl 0s\nmax_requests 1\nprobe none\nalldown empty\naffinity off\nlane on", "ready 127.0.0.1:READY\nlog"},
		{"both", "tls off\nproxy 127.0.0.1:2\nduckdns token 11111111-2222-3333-4444-555555555555 api http://127.0.0.1:1 verify at 127.0.0.1:1", "errors\nwhoami"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := noisyCorefile(t, tc.lines, tc.plugins)
			text, code := check(t, "-json", file)
			var doc struct{ Findings []lint.Finding }
			if err := json.Unmarshal(text, &doc); err != nil || code != 0 {
				t.Fatalf("exit code %d, %v\n%s", code, err, text)
			}
			if (tc.name == "nothing") != (len(doc.Findings) == 0) {
				t.Errorf("%d findings: %v", len(doc.Findings), doc.Findings)
			}
			for _, p := range []struct {
				program lint.Program
				serves  string
			}{{lint.Plexdns, "CoreDNS-"}, {lint.Plexproxy, "serving "}} {
				proc := startProcess(t, "", exec.CommandContext(t.Context(), programs.path(t, string(p.program)), "-conf", file))
				eventually(t, 20*time.Second, func() error {
					if proc.output.count(p.serves) == 0 {
						return fmt.Errorf("%s does not serve yet", p.program)
					}
					return nil
				})
				proc.endWell(t)
				for _, f := range doc.Findings {
					want := 0
					if f.Concerns(p.program) {
						want = 1
					}
					if got := proc.output.count(f.String()); got != want {
						t.Errorf("%s says %d times, want %d: %v", p.program, got, want, f)
					}
				}
			}
		})
	}
}

// noisyCorefile writes a Corefile with ports of its own, which both programs serve on loopback.
func noisyCorefile(t *testing.T, lines, plugins string) string {
	t.Helper()
	dir, loopback := t.TempDir(), netip.MustParseAddr("127.0.0.1")
	port := func() string { return fmt.Sprint(freePort(t, loopback)) }
	text := fmt.Sprintf("home.duckdns.org:%s {\nbind 127.0.0.1\nplex {\nnode plex1 127.0.0.1:1\nnode plex2 127.0.0.2:1\n"+
		"internal 127.0.0.0/8\nuplink wan 203.0.113.7\nlisten 127.0.0.1:%s\nstate %s\nstorage %s/s\n"+
		"status 127.0.0.1:%s\nproxy_status 127.0.0.1:%s\n%s\n}\n%s\n}\n",
		port(), port(), dir, dir, port(), port(), lines, plugins)
	text = strings.ReplaceAll(text, "READY", port())
	file := filepath.Join(dir, "Corefile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestManualsAreRight: who starts from a manual's Corefile has nothing to mend.
func TestManualsAreRight(t *testing.T) {
	t.Parallel()
	for _, manual := range []string{"README.md", "plugin/README.md", "proxy/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, manual))
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)\n(?:~~~ |```)corefile\n(.*?\n)(?:~~~|```)\n").FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no Corefile", manual)
		}
		for _, b := range blocks {
			for _, f := range lint.Check("Corefile", b[1]) {
				trial := f.Code == "tls-internal" && bytes.Contains(b[1], []byte("tls      internal")) // on one machine
				if !trial {
					t.Errorf("%s: %v [%s]\n%s", manual, f, f.Code, b[1])
				}
			}
		}
	}
}
