package corefile_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/zones"
)

func TestExamples(t *testing.T) {
	want := map[string]string{
		"minimal":     "home.duckdns.org. with 2 nodes, 1 proxies, answers proxies all",
		"two-proxies": "home.duckdns.org. with 2 nodes, 2 proxies, answers proxies all",
		"two-uplinks": "home.duckdns.org. with 2 nodes, 1 proxies, answers proxies all",
		"vip":         "home.duckdns.org. with 3 nodes, 1 proxies, answers proxies first",
		"no-proxy":    "home.duckdns.org. with 2 nodes, 0 proxies, answers nodes spread",
		"own-domain":  "example.org. with 2 nodes, 1 proxies, answers proxies all",
	}
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil || len(files) != len(want) {
		t.Fatalf("got examples %v, error %v, want %d", files, err, len(want))
	}
	for _, file := range files {
		name := path.Base(file[:len(file)-len(".corefile")])
		t.Run(name, func(t *testing.T) {
			configs := readExample(t, file)
			if diff := cmp.Diff(want[name], summary(configs[0].Cluster)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, z := range configs[0].ZoneFiles {
				if _, err := fs.Stat(corefile.Examples, path.Join("examples", z.Path)); err != nil {
					t.Errorf("zone file of line %d: %v", z.Line, err)
				}
			}
		})
	}
}

func readExample(t *testing.T, file string) []*corefile.Config {
	t.Helper()
	text, err := fs.ReadFile(corefile.Examples, file)
	if err != nil {
		t.Fatal(err)
	}
	configs, err := corefile.Read(file, bytes.NewReader(text))
	if err != nil || len(configs) != 1 {
		t.Fatalf("got %d blocks, error %v", len(configs), err)
	}
	return configs
}

func summary(c zones.Cluster) string {
	return fmt.Sprintf("%s with %d nodes, %d proxies, answers %v %v", c.Origins[0], len(c.Nodes), len(c.Proxies), c.Tier, c.Mode)
}
