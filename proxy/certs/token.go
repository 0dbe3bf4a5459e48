package certs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// secret is a token, which no dump shows.
type secret string

const redacted = "[redacted]"

// String implements [fmt.Stringer].
func (secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (secret) GoString() string { return redacted }

// MarshalText implements [encoding.TextMarshaler], and with it JSON.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// hide removes the secret from a text.
func (s secret) hide(text string) string { return strings.ReplaceAll(text, string(s), redacted) }

// tokenLength is that of the UUID that DuckDNS shows on its page, and libdns insists on it.
const tokenLength = 36

var errToken = errors.New("the token is not the 36 letters, digits and dashes that DuckDNS shows on its page")

// check tells whether the token can be one. What could not stand in a URL unescaped would not be found again
// in an error.
func (s secret) check() error {
	odd := strings.ContainsFunc(string(s), func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if odd || len(s) != tokenLength {
		return errToken
	}
	return nil
}

// token returns the token of a file, or the given one if there is no file.
func token(given secret, file string) (secret, error) {
	if file == "" {
		return given, given.check()
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading DuckDNS's token: %w", err)
	}
	s := secret(strings.TrimSpace(string(content)))
	if err := s.check(); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}
