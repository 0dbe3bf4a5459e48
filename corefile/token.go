package corefile

import (
	"errors"
	"fmt"
	"strings"
)

// tokenLength is that of the UUID that DuckDNS shows on its page. libdns insists on it too.
const tokenLength = 36

// What can be wrong with a token. No message repeats any of it.
var (
	errTokenEmpty  = errors.New("the token is empty")
	errTokenUTF16  = errors.New("the token is in UTF-16: save it as plain text (UTF-8)")
	errTokenBOM    = errors.New("a byte order mark stands before the token: save it as UTF-8 without one")
	errTokenLines  = errors.New("there are several lines: want nothing but the token")
	errTokenKey    = errors.New("a name and = stand before the token, as in a file of environment variables: want nothing but the token")
	errTokenQuotes = errors.New("the token stands in quotes: leave them out")
	errTokenBlank  = errors.New("the token has a blank in it")
	errTokenForm   = errors.New("the token is not the 36 letters, digits and dashes that DuckDNS shows on its page")
)

// quotes are those of shells and of word processors.
const quotes = "\"'`‘’“”"

// ParseToken takes a token of DuckDNS, with blanks and line ends around it that are left out. The error says what is
// wrong, and holds nothing of the text.
func ParseToken(text string) (Secret, error) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return Secret{}, errTokenUTF16
	}
	text, marked := strings.CutPrefix(text, "\ufeff")
	token := strings.TrimSpace(text)
	key, _, hasKey := strings.Cut(token, "=")
	switch {
	case token == "":
		return Secret{}, errTokenEmpty
	case strings.ContainsAny(token, "\r\n"):
		return Secret{}, errTokenLines
	case hasKey && key != "":
		return Secret{}, errTokenKey
	case strings.Trim(token, quotes) != token:
		return Secret{}, errTokenQuotes
	case strings.ContainsAny(token, " \t"):
		return Secret{}, errTokenBlank
	case strings.ContainsFunc(token, notOfToken):
		return Secret{}, errTokenForm
	case len(token) != tokenLength:
		return Secret{}, fmt.Errorf("%w: it has %d of them", errTokenForm, len(token))
	case marked:
		return Secret{}, errTokenBOM
	}
	return NewSecret(token), nil
}

// notOfToken tells what DuckDNS gives to no token. What could not stand in a URL unescaped would not be found again
// in an error.
func notOfToken(r rune) bool {
	letter := 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80
	return !letter && r != '-' && (r < '0' || r > '9')
}
