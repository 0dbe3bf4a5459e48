package corefile

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a word that must never be shown: a token, or a URL with a password in it. However it is
// printed, it says [redacted].
//
// The word is behind a pointer, since fmt calls no method of what stands in another type's unexported field: of
// that it prints where it points to.
type Secret struct{ value *string }

const redacted = "[redacted]"

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the secret itself, to be sent where it belongs and nowhere else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// Format implements [fmt.Formatter]: without it %d would show what %s does not.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
