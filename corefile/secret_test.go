package corefile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"plexha/corefile"
)

// No verb, no container and no encoder shows a secret.
func TestASecretIsNotShown(t *testing.T) {
	const word = "12345678-9abc-4def-8123-456789abcdef"
	secret := corefile.NewSecret(word)
	type hidden struct{ token corefile.Secret }
	values := map[string]any{
		"itself":                     secret,
		"a pointer":                  &secret,
		"a list":                     []corefile.Secret{secret},
		"a map":                      map[corefile.Secret]corefile.Secret{secret: secret},
		"a field":                    corefile.DuckDNS{Token: secret},
		"an unexported field":        hidden{secret},
		"a pointer to one":           &hidden{secret},
		"unexported fields in lists": []any{[]hidden{{secret}}, map[string]hidden{"": {secret}}},
		"a configuration":            corefile.Config{DuckDNS: &corefile.DuckDNS{Token: secret}, Notify: []corefile.Secret{secret}},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range "vsqxXdbotTUceEfFgGpw" {
				for _, flags := range []string{"", "+", "#", "0", " ", "100.90"} {
					keepsSecret(t, fmt.Sprintf("%"+flags+string(verb), v), word)
				}
			}
			if data, err := json.Marshal(v); err == nil {
				keepsSecret(t, string(data), word)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("", "secret", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("", "secret", v)
			keepsSecret(t, log.String(), word)
		})
	}
}

// keepsSecret looks for a part of the secret, as it is and in hexadecimal digits.
func keepsSecret(t *testing.T, text, word string) {
	t.Helper()
	for _, form := range []string{word[:8], fmt.Sprintf("%x", word[:8]), fmt.Sprintf("%X", word[:8]), fmt.Sprint([]byte(word[:4]))[1:]} {
		if strings.Contains(text, form) {
			t.Errorf("it is shown: %.200s", text)
		}
	}
}

func TestASecretIsRevealed(t *testing.T) {
	if got := corefile.NewSecret("word").Reveal(); got != "word" {
		t.Errorf("got %q", got)
	}
	if none := corefile.NewSecret(""); !none.IsZero() || none.Reveal() != "" || corefile.NewSecret("word").IsZero() {
		t.Error("an empty secret is none, and no other is")
	}
}
