package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestBadCorefiles starts plexdns with each Corefile of testdata/bad. It must end with code 1 and say why,
// as the golden part of the file has it.
func TestBadCorefiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "bad", "*.txtar"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d bad Corefiles (%v), want 20 or more", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 2 || archive.Files[0].Name != "Corefile" || archive.Files[1].Name != "says" {
				t.Fatalf("%s: want the files Corefile and says", file)
			}
			p := newPlexdns(t)
			p.write(string(archive.Files[0].Data))
			cmd := exec.CommandContext(t.Context(), programs.path(t, "plexdns"), "-conf", p.file())
			proc := startProcess(t, "", cmd)
			if code := exitCode(proc.wait(t, 20*time.Second)); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			got := strings.ReplaceAll(proc.output.String(), p.dir+string(filepath.Separator), "")
			if *update {
				archive.Files[1].Data = []byte(got)
				writeFile(t, file, string(txtar.Format(archive)))
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}
