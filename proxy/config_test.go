package proxy_test

import (
	"bytes"
	"encoding/json"
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

// TestBuildSaysWhereTheTokenIs: a file is read by the module, at each use.
func TestBuildSaysWhereTheTokenIs(t *testing.T) {
	for line, want := range map[string]string{
		"token_file /etc/t":                         `"token_file":"/etc/t"`,
		"token from $CREDENTIALS_DIRECTORY/duck_t":  `"credential":"duck_t"`,
		"token_file /etc/t api https://192.0.2.1:8": `{"domain":"home","name":"plexha_duckdns","token_file":"/etc/t"}`,
	} {
		blocks := read(t, "home.duckdns.org {\nplex {\nnode plex1 docker1\ntls acme mail@example.com dns\nduckdns "+line+"\n}\n}\n")
		got, err := proxy.Build(blocks, proxy.Settings{})
		got = bytes.Join(bytes.Fields(got), nil)
		if err != nil || !bytes.Contains(got, []byte(want)) {
			t.Errorf("%s: error %v, no %s in\n%s", line, err, want, got)
		}
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
	if shown := string(redact.Append(nil, text)); strings.Contains(shown, "11111111-2222") {
		t.Errorf("it is shown:\n%s", shown)
	}
}

// A client that names no host gets the certificate of the first block at the listener, be it from files.
func TestFilesServeTheNameless(t *testing.T) {
	block := func(domain, lines string) string {
		return domain + " {\nplex {\nnode plex1 192.168.1.4\n" + lines + "\n}\n}\n"
	}
	files := block("a.test", "tls files /a /b\nlisten :8443")
	for _, tc := range []struct {
		name, corefile string
		want           []int // how many names each policy is for; 0: all that the others are not for
	}{
		{"one block", files, []int{0}},
		{"at two listeners", block("a.test", "tls files /a /b\nlisten :8443 :9443 http://:8080"), []int{0}},
		{"the first of two", files + block("b.test", "tls internal\nlisten :8443"), []int{2, 0}},
		{"both from files", files + block("b.test", "tls files /c /d\nlisten :8443"), []int{3, 0}},
		{"the second of two", block("b.test", "tls internal\nlisten :8443") + files, []int{2, 3}},
		{"listeners that do not agree", files + block("b.test", "tls internal\nlisten :9443"), []int{3, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, err := proxy.Build(read(t, tc.corefile), proxy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			var built struct {
				Apps struct {
					TLS struct {
						Automation struct {
							Policies []struct{ Subjects []string }
						}
					}
				}
			}
			if err := json.Unmarshal(text, &built); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, p := range built.Apps.TLS.Automation.Policies {
				got = append(got, len(p.Subjects))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
