package corefile_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plexha/corefile"
)

const noToken = "the token is not the 36 letters, digits and dashes that DuckDNS shows on its page"

// tokenTexts are what files hold, each with what is said of it. Empty: it is good. N stands for a number.
var tokenTexts = []struct{ name, text, want string }{
	{"as DuckDNS shows it", token, ""},
	{"line end", token + "\n", ""},
	{"line end of Windows", token + "\r\n", ""},
	{"blanks around", "\n \t" + token + " \n\n", ""},
	{"capitals", strings.ToUpper(token), ""},
	{"nothing", "", "the token is empty"},
	{"blanks", " \n", "the token is empty"},
	{"too short", token[1:], noToken + ": it has N of them"},
	{"too long", token + "a", noToken + ": it has N of them"},
	{"other characters", "ä" + token[2:], noToken},
	{"binary", "\x00" + token[1:], noToken},
	{"as a URL has it", strings.ReplaceAll(token, "-", "%2D"), noToken},
	{"double quotes", `"` + token + `"`, "the token stands in quotes: leave them out"},
	{"single quotes", "'" + token + "'\n", "the token stands in quotes: leave them out"},
	{"typographic quotes", "“" + token + "”", "the token stands in quotes: leave them out"},
	{"one quote", token + `"`, "the token stands in quotes: leave them out"},
	{"name and =", "TOKEN=" + token, "a name and = stand before the token, as in a file of environment variables: want nothing but the token"},
	{"export", `export DUCKDNS_TOKEN="` + token + `"`, "a name and = stand before the token, as in a file of environment variables: want nothing but the token"},
	{"blank inside", token[:8] + " " + token[9:], "the token has a blank in it"},
	{"two words", "token " + token, "the token has a blank in it"},
	{"comment", "# DuckDNS\n" + token, "there are several lines: want nothing but the token"},
	{"two tokens", token + "\n" + token, "there are several lines: want nothing but the token"},
	{"lines of an old Mac", token + "\r" + token, "there are several lines: want nothing but the token"},
	{"byte order mark", "\ufeff" + token, "a byte order mark stands before the token: save it as UTF-8 without one"},
	{"UTF-16", "\xff\xfe8\x00f\x001\x00", "the token is in UTF-16: save it as plain text (UTF-8)"},
}

var number = regexp.MustCompile(`it has \d+ of`)

func TestParseToken(t *testing.T) {
	for _, tc := range tokenTexts {
		t.Run(tc.name, func(t *testing.T) {
			got, err := corefile.ParseToken(tc.text)
			if tc.want == "" {
				if err != nil || !strings.EqualFold(got.Reveal(), token) {
					t.Errorf("got %q, %v", got.Reveal(), err)
				}
				return
			}
			if err == nil || number.ReplaceAllString(err.Error(), "it has N of") != tc.want || !got.IsZero() {
				t.Errorf("got %q, %v\nwant %s", got.Reveal(), err, tc.want)
			}
		})
	}
}

// FuzzParseToken: an error is one of those above and holds nothing of the text but its length. What passes is what
// the text holds, and can stand in a URL as it is.
func FuzzParseToken(f *testing.F) {
	var said []string
	for _, tc := range tokenTexts {
		f.Add(tc.text)
		said = append(said, tc.want)
	}
	form := regexp.MustCompile(`^[0-9A-Za-z-]{36}$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := corefile.ParseToken(text)
		if err == nil {
			if !form.MatchString(got.Reveal()) || strings.TrimSpace(text) != got.Reveal() {
				t.Errorf("got %q of %q", got.Reveal(), text)
			}
			return
		}
		length := strconv.Itoa(len(strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))))
		message := strings.Replace(err.Error(), "it has "+length+" of", "it has N of", 1)
		if message == "" || !slices.Contains(said, message) {
			t.Errorf("%q gives %q", text, err)
		}
	})
}
