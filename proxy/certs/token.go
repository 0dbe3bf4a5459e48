package certs

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"plexha/corefile"
	"plexha/corefile/token"
)

// secret is a token, which no dump shows.
type secret string

const redacted = "[redacted]"

// String implements [fmt.Stringer].
func (secret) String() string { return redacted }

// Format implements [fmt.Formatter]: without it %d would show what %s does not.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// hide removes the secret from a text.
func (s secret) hide(text string) string { return strings.ReplaceAll(text, string(s), redacted) }

// source says where the token is, in the words of the Corefile.
func (p *Provider) source() *corefile.DuckDNS {
	return &corefile.DuckDNS{
		Token:      corefile.NewSecret(string(p.Token)),
		TokenFile:  p.TokenFile,
		Credential: p.Credential,
	}
}

// token returns the token, which may have changed since the last use.
func (p *Provider) token() (secret, error) {
	s, err := token.Of(p.source())
	return secret(s.Reveal()), err
}

// checkToken refuses a configuration that names no token, or several, and a given one that is none.
func (p *Provider) checkToken() error {
	given := 0
	for _, way := range []string{string(p.Token), p.TokenFile, p.Credential} {
		if way != "" {
			given++
		}
	}
	if given != 1 {
		return errors.New("want a token, a token_file or a credential, and one of them only")
	}
	if p.Token == "" {
		return nil // it may come later than we do
	}
	_, err := p.token()
	return err
}
