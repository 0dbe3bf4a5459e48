package proxymain_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/proxymain"
	"plexha/corefile"
)

// says runs plexproxy with flags that make it end by itself.
func says(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs strings.Builder
	err = proxymain.Run(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), err
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const good = `home.duckdns.org {
    plex {
        node    plex1 docker1:32401
        nodes   p tasks.plex
        tls     acme mail@example.com dns
        duckdns token 11111111-2222-3333-4444-555555555555
        listen  :443 h3
        listen  :80
    }
}
lan.test {
    plex {
        node         plex1 192.168.1.4
        tls          off
        affinity     off
        listen       :8080
        proxy_status 127.0.0.1:8055
    }
}
`

func TestVersion(t *testing.T) {
	out, _, err := says(t, "-version")
	want := regexp.MustCompile(`^plexproxy-` + regexp.QuoteMeta(corefile.Version) + `\nCaddy-\S+\n\w+/\w+, go\S+\n$`)
	if err != nil || !want.MatchString(out) {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestCheck(t *testing.T) {
	out, _, err := says(t, "-check", "-conf", file(t, good))
	if err != nil {
		t.Fatal(err)
	}
	want := `https://plex.home.duckdns.org: to the node of each client, else by uri_hash
https://plex1.home.duckdns.org: to docker1:32401
https://pN.home.duckdns.org: to the nodes that tasks.plex names
https://home.duckdns.org: leads to https://plex.home.duckdns.org
certificates: from Let's Encrypt for mail@example.com, shown at DuckDNS
listens at :443 (HTTPS, HTTP/3 too)
listens at :80 (HTTP, leads to HTTPS)
state and metrics at 127.0.0.1:8054

http://plex.lan.test: by uri_hash
http://plex1.lan.test: to 192.168.1.4:32400
http://lan.test: leads to http://plex.lan.test
certificates: none
listens at :8080 (HTTP)
state and metrics at 127.0.0.1:8055
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrintConfig(t *testing.T) {
	out, _, err := says(t, "-print-config", "-conf", file(t, good))
	if err != nil || strings.Contains(out, "11111111") || !strings.Contains(out, `"token": "[redacted]"`) {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no Corefile", nil, "there is no Corefile: name one with -conf FILE"},
		{"a Corefile that is not there", []string{"-conf", "nothing"}, "reading the Corefile: open nothing: no such file or directory"},
		{"no flag", []string{"start"}, `reading the arguments: unexpected ["start"]: want flags alone, see -help`},
		{"an unknown flag", []string{"-frob"}, "flag provided but not defined: -frob"},
		{"a mistake", []string{"-check", "-conf", file(t, "home.duckdns.org {\nplex {\nnode plex1 x\nbalance roulette\n}\n}\n")}, `Corefile:4: balance: "roulette" is not`},
		{"a certificate that is not there", []string{"-check", "-conf", file(t, "a.test {\nplex {\nnode plex1 x\ntls files /nowhere/a /nowhere/b\n}\n}\n")}, "/nowhere/a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, _, err := says(t, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
