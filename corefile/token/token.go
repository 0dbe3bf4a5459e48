// Package token reads DuckDNS's token from where the Corefile says it is.
package token

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plexha/corefile"
)

// mostBytes bounds what is read of a file: a token has 36, and nobody means a larger file.
const mostBytes = 4096

// credentials is the environment variable in which systemd tells a unit where its credentials are, see
// systemd.exec(5).
const credentials = "CREDENTIALS_DIRECTORY"

// Of returns the token. A file is read at each call, so that a new token needs no restart. The error says what is
// wrong and where, and holds nothing of the token.
func Of(d *corefile.DuckDNS) (corefile.Secret, error) {
	switch {
	case d.TokenFile != "":
		return read(d.TokenFile)
	case d.Credential != "":
		return credential(d.Credential)
	}
	return corefile.ParseToken(d.Token.Reveal())
}

// credential reads the token from a file that systemd has put there for this unit.
func credential(name string) (corefile.Secret, error) {
	dir := os.Getenv(credentials)
	if dir == "" {
		return corefile.Secret{}, fmt.Errorf("$%s is not set: the systemd unit needs a line such as "+
			"LoadCredential=%s:/etc/plexha/duckdns.token", credentials, name)
	}
	token, err := read(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: the systemd unit has no line LoadCredential=%s:FILE", err, name)
	}
	return token, err
}

func read(path string) (corefile.Secret, error) {
	text, err := content(path)
	if err != nil {
		return corefile.Secret{}, fmt.Errorf("reading DuckDNS's token: %w", err)
	}
	token, err := corefile.ParseToken(text)
	if err != nil {
		return corefile.Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// content returns what is in a file. What is no file, such as a pipe, could keep us waiting for ever.
func content(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", path)
	case info.Size() > mostBytes:
		return "", fmt.Errorf("%s has %d bytes: want nothing but the token", path, info.Size())
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostBytes))
	return string(text), err
}

// containerSecrets is where Docker and Podman put a container's secrets. They have mode 0444, and nobody else is there.
const containerSecrets = "/run/secrets/"

// Loose returns a warning about a token file that others may read, or "". A file of another owner's that we read by
// its group has the rights that it needs.
func Loose(d *corefile.DuckDNS) string {
	if d.TokenFile == "" || strings.HasPrefix(d.TokenFile, containerSecrets) {
		return ""
	}
	info, err := os.Stat(d.TokenFile)
	if err != nil {
		return "" // Of tells it
	}
	who, take := "", "go="
	switch mode := info.Mode().Perm(); {
	case !hasOwner(info):
	case mode&0o007 != 0 && isOurs(info):
		who = "everybody on this machine"
	case mode&0o007 != 0:
		who, take = "everybody on this machine", "o="
	case mode&0o070 != 0 && isOurs(info):
		who = "its group"
	}
	if who == "" {
		return ""
	}
	return fmt.Sprintf("%s may be read by %s (mode %04o): chmod %s %[1]s", d.TokenFile, who, info.Mode().Perm(), take)
}
