package token_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/corefile"
	"plexha/corefile/token"
)

const text = "8f14e45f-ceea-467f-a8a3-5f1c0e3d2b1a"

// write makes a file of the test's.
func write(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "duckdns_token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func isGood(t *testing.T, d corefile.DuckDNS) {
	t.Helper()
	if got, err := token.Of(&d); err != nil || got.Reveal() != text {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
}

// isBad holds an error against what it must say.
func isBad(t *testing.T, d corefile.DuckDNS, want string) {
	t.Helper()
	got, err := token.Of(&d)
	if err == nil || !strings.Contains(err.Error(), want) || !got.IsZero() {
		t.Errorf("got %q, %v\nwant %s", got.Reveal(), err, want)
	}
	for _, shown := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		if strings.Contains(shown, text[:6]) || strings.Contains(shown, text[len(text)-6:]) {
			t.Errorf("%s\nshows of the token", shown)
		}
	}
}

func TestOfTheLine(t *testing.T) {
	isGood(t, corefile.DuckDNS{Token: corefile.NewSecret(text)})
	isBad(t, corefile.DuckDNS{Token: corefile.NewSecret(text[1:])}, "the token is not the 36 letters")
	isBad(t, corefile.DuckDNS{}, "the token is empty")
}

func TestOfAFile(t *testing.T) {
	isGood(t, corefile.DuckDNS{TokenFile: write(t, text+"\n")})
	dir := t.TempDir()
	for _, tc := range []struct{ name, file, want string }{
		{"not there", filepath.Join(dir, "none"), "reading DuckDNS's token: stat " + dir},
		{"a folder", dir, dir + " is no regular file"},
		{"no end", "/dev/zero", "/dev/zero is no regular file"},
		{"in quotes", write(t, `"`+text+`"`), "duckdns_token: the token stands in quotes"},
		{"a script of the shell", write(t, "export TOKEN="+text), "duckdns_token: a name and = stand before the token"},
		{"too short", write(t, text[2:]), "it has 34 of them"},
		{"another file", write(t, strings.Repeat(text, 200)), "has 7200 bytes: want nothing but the token"},
	} {
		t.Run(tc.name, func(t *testing.T) { isBad(t, corefile.DuckDNS{TokenFile: tc.file}, tc.want) })
	}
}

func TestOfAFileThatChanges(t *testing.T) {
	d := corefile.DuckDNS{TokenFile: write(t, "")}
	isBad(t, d, "the token is empty")
	if err := os.WriteFile(d.TokenFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	isGood(t, d)
}

func TestOfACredential(t *testing.T) {
	d := corefile.DuckDNS{Credential: "duckdns_token"}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	isBad(t, d, "$CREDENTIALS_DIRECTORY is not set: the systemd unit needs a line such as "+
		"LoadCredential=duckdns_token:/etc/plexha/duckdns.token")
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	isBad(t, d, "no such file or directory: the systemd unit has no line LoadCredential=duckdns_token:FILE")
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(write(t, text+"\n")))
	isGood(t, d)
}

func TestLoose(t *testing.T) {
	file := write(t, text)
	for _, tc := range []struct {
		mode os.FileMode
		want string
	}{
		{0o600, ""},
		{0o400, ""},
		{0o640, file + " may be read by its group (mode 0640): chmod go= " + file},
		{0o644, file + " may be read by everybody on this machine (mode 0644): chmod go= " + file},
		{0o604, file + " may be read by everybody on this machine (mode 0604): chmod go= " + file},
	} {
		if err := os.Chmod(file, tc.mode); err != nil {
			t.Fatal(err)
		}
		if got := token.Loose(&corefile.DuckDNS{TokenFile: file}); got != tc.want {
			t.Errorf("mode %v: got  %s\nwant %s", tc.mode, got, tc.want)
		}
	}
	for _, d := range []corefile.DuckDNS{
		{Token: corefile.NewSecret(text)},
		{Credential: "duckdns_token"}, // systemd sees to it
		{TokenFile: filepath.Join(t.TempDir(), "none")},
	} {
		if got := token.Loose(&d); got != "" {
			t.Errorf("%+v: got %s", d, got)
		}
	}
}
