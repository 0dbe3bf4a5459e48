package proxy_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/proxy"
	"plexha/proxy/redact"
)

var update = flag.Bool("update", false, "write what is built to the golden files")

// read parses a Corefile that must be good.
func read(t *testing.T, text string) []*corefile.Config {
	t.Helper()
	blocks, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return blocks
}

// TestBuild compares what is made of Corefiles with golden files.
func TestBuild(t *testing.T) {
	files, err := filepath.Glob("testdata/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatalf("Corefiles: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			blocks, err := corefile.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := proxy.Build(blocks, proxy.Settings{Grace: 30 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".corefile") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuildIsTheSameEachTime(t *testing.T) {
	blocks, err := corefile.Load("testdata/several.corefile")
	if err != nil {
		t.Fatal(err)
	}
	first, err := proxy.Build(blocks, proxy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := proxy.Build(blocks, proxy.Settings{}); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("another time it is another: %v\n%s", err, cmp.Diff(string(first), string(again)))
		}
	}
}

func TestTokenIsRedacted(t *testing.T) {
	blocks, err := corefile.Load("testdata/dns.corefile")
	if err != nil {
		t.Fatal(err)
	}
	text, err := proxy.Build(blocks, proxy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("11111111-2222")) {
		t.Fatal("the token is not in the configuration")
	}
	if shown := redact.String(string(text)); strings.Contains(shown, "11111111-2222") {
		t.Errorf("it is shown:\n%s", shown)
	}
}
