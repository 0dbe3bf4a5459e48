package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/redact"
)

func TestAppend(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a query", "GET /?X-Plex-Token=abc-_1&x=1 HTTP/1.1", "GET /?X-Plex-Token=[redacted]&x=1 HTTP/1.1"},
		{"the last of a query", "/?x=1&X-Plex-Token=abc", "/?x=1&X-Plex-Token=[redacted]"},
		{"in whatever letter case", "?x-plex-TOKEN=abc", "?x-plex-TOKEN=[redacted]"},
		{"a fragment behind it", "?X-Plex-Token=abc#top", "?X-Plex-Token=[redacted]#top"},
		{"a semicolon behind it", "?X-Plex-Token=abc;y=2", "?X-Plex-Token=[redacted];y=2"},
		{"an empty one", "?X-Plex-Token=&x=1", "?X-Plex-Token=&x=1"},
		{"with escapes in it", "?X-Plex-Token=a%2Fb%3D&x=1", "?X-Plex-Token=[redacted]&x=1"},
		{"with escapes in its name", "?X%2dPlex%2DT%6fken=abc&x=1", "?X%2dPlex%2DT%6fken=[redacted]&x=1"},
		{"inside url=", "url=%2Fthumb%3FX-Plex-Token%3Dabc%26y%3D1&X-Plex-Token=def", "url=%2Fthumb%3FX-Plex-Token%3D[redacted]%26y%3D1&X-Plex-Token=[redacted]"},
		{"inside url=, encoded twice", "url=%252Fthumb%253FX-Plex-Token%253Dabc%2526y&z=1", "url=%252Fthumb%253FX-Plex-Token%253D[redacted]%2526y&z=1"},
		{"three times, in small letters", "%25253fX-Plex-Token%25253dabc%252526y", "%25253fX-Plex-Token%25253d[redacted]%252526y"},
		{"at the end of an encoded URL", "url=%2F%3FX-Plex-Token%3Dabc", "url=%2F%3FX-Plex-Token%3D[redacted]"},
		{"encoded JSON", "q=%7B%22X-Plex-Token%22%3A%22abc%22%7D", "q=%7B%22X-Plex-Token%22%3A%22[redacted]%22%7D"},
		{"DuckDNS", `Get "https://www.duckdns.org/update?domains=home&token=11111111-2222-3333&ip=": EOF`, `Get "https://www.duckdns.org/update?domains=home&token=[redacted]&ip=": EOF`},
		{"other tokens", "authToken=abc access_token=def claimToken=ghi", "authToken=[redacted] access_token=[redacted] claimToken=[redacted]"},
		{"XML", `<User accessToken="abc" name="me"/>`, `<User accessToken="[redacted]" name="me"/>`},
		{"XML, single quotes", `<User accessToken='abc' name='me'/>`, `<User accessToken='[redacted]' name='me'/>`},
		{"an error's words", `parsing "/x?X-Plex-Token=abc": invalid`, `parsing "/x?X-Plex-Token=[redacted]": invalid`},
		{"a header's line", "X-Plex-Token: abc\r\nAccept: */*", "X-Plex-Token: [redacted]\r\nAccept: */*"},
		{"authorization", "Authorization: Bearer abc\r\nAccept: x", "Authorization: [redacted]\r\nAccept: x"},
		{"a proxy's authorization", "proxy-authorization: Basic abc", "proxy-authorization: [redacted]"},
		{"cookies", "Cookie: a=1; b=2\nAccept: x", "Cookie: [redacted]\nAccept: x"},
		{"a cookie that is set", "Set-Cookie: a=1; Path=/", "Set-Cookie: [redacted]"},
		{"Go's map", "map[Accept:[x] X-Plex-Token:[abc def] Z:[y]]", "map[Accept:[x] X-Plex-Token:[[redacted]] Z:[y]]"},
		{"JSON", `{"headers":{"X-Plex-Token":["abc","def"],"Z":["y"]}}`, `{"headers":{"X-Plex-Token":["[redacted]","[redacted]"],"Z":["y"]}}`},
		{"JSON with spaces", `{"X-Plex-Token": ["abc", "def"], "Z": 1}`, `{"X-Plex-Token": ["[redacted]", "[redacted]"], "Z": 1}`},
		{"JSON, a string", `{"authToken":"ab\"c\\","z":"y"}`, `{"authToken":"[redacted]","z":"y"}`},
		{"JSON, a string that begins with a comma", `{"token":",abc"}`, `{"token":"[redacted]"}`},
		{"JSON, no string", `{"token":null,"cookie":{"a":1},"authorization":true}`, `{"token":null,"cookie":{"a":1},"authorization":true}`},
		{"JSON, a name at the end of a string", `{"uri":"/?X-Plex-Token=","method":"GET"}`, `{"uri":"/?X-Plex-Token=","method":"GET"}`},
		{"JSON, a header's line in a string", `{"msg":"bad Cookie: a=1; b\r\nX: y"}`, `{"msg":"bad Cookie: [redacted]\r\nX: y"}`},
		{"JSON, a quote that its string leaves open", `{"msg":"token\":['a","z":"y"}`, `{"msg":"token\":['[redacted]","z":"y"}`},
		{"JSON, a quote from one string to the next", `{"a":"token:\"x","b":[ "y", 1 ],"token" : "z"}`, `{"a":"token:\"[redacted]","b":[ "y", 1 ],"token" : "[redacted]"}`},
		{"JSON in JSON", `{"msg":"{\"X-Plex-Token\":[\"abc\"],\"z\":1}"}`, `{"msg":"{\"X-Plex-Token\":[\"[redacted]\"],\"z\":1}"}`},
		{"JSON in JSON in JSON", `{"m":"{\"m\":\"{\\\"token\\\":\\\"a\\\\\\\"b\\\"}\"}"}`, `{"m":"{\"m\":\"{\\\"token\\\":\\\"[redacted]\\\"}\"}"}`},
		{"JSON, escaped ampersand", `{"uri":"/?X-Plex-Token=abc\u0026x=1"}`, `{"uri":"/?X-Plex-Token=[redacted]\u0026x=1"}`},
		{"what is clean already", "X-Plex-Token=[redacted]&x, Cookie: [redacted]", "X-Plex-Token=[redacted]&x, Cookie: [redacted]"},
		{"other names", "tokens=5 X-Plex-Client-Identifier=abc tokenize:x 12:34:56 https://x/", "tokens=5 X-Plex-Client-Identifier=abc tokenize:x 12:34:56 https://x/"},
		{"the word alone", "the token is wrong; no cookie", "the token is wrong; no cookie"},
		{"broken escapes", "%2 %zz X-Plex-Token%3 X-Plex-Token=%", "%2 %zz X-Plex-Token%3 X-Plex-Token=[redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, shown(tc.text)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.text, diff)
			}
			if again := shown(tc.want); again != tc.want {
				t.Errorf("once more: %s", again)
			}
			if got := string(redact.Append([]byte("x "), []byte(tc.text))); got != "x "+tc.want {
				t.Errorf("appended: %s", got)
			}
		})
	}
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	l := log.New(redact.Writer(&out), "plexproxy: ", 0)
	l.Print("asking /?X-Plex-Token=abc EOF")
	l.Print("nothing here")
	want := "plexproxy: asking /?X-Plex-Token=[redacted] EOF\nplexproxy: nothing here\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzSecrets puts a token into every shape that a log has for one, with whatever around it.
func FuzzSecrets(f *testing.F) {
	f.Add("x", "&y=1")
	f.Add(`a\`, `"},{`)
	f.Add("token:[", "%25")
	const secret = "sEcReT-1234567890"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, secret) {
			return // it is not ours that would be found
		}
		query := "/?" + url.Values{"a": {before}, "X-Plex-Token": {secret}, "z": {after}}.Encode()
		headers := http.Header{"A": {before}, "X-Plex-Token": {secret, secret}, "Cookie": {secret}, "Z": {after}}
		asJSON, err := json.Marshal(map[string]any{"uri": query, "headers": headers, "msg": before, "z": after})
		if err != nil {
			t.Fatal(err)
		}
		twice, err := json.Marshal(string(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			query, url.QueryEscape(query), url.QueryEscape(url.QueryEscape(query)), strconv.Quote(query),
			string(asJSON), string(twice), fmt.Sprint(http.Header{"X-Plex-Token": {secret}}), "X-Plex-Token: " + secret + after,
		} {
			got := shown(text)
			if strings.Contains(got, secret) {
				t.Errorf("%s\nbecomes\n%s", text, got)
			}
			if json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
				t.Errorf("%s\nis no JSON any more:\n%s", text, got)
			}
		}
	})
}

// FuzzJSON: what was JSON stays JSON, so that a log stays readable for programs.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"token:", `token:[`, `Cookie: \`, `"token":"`, `token='`, `\"token\":[\"`, `token:"a`} {
		f.Add(s, "x")
		f.Add(s, `"`)
		f.Add("x", s)
	}
	f.Add("token:\"0\\", "0")
	f.Add("token\":['0", "0")
	f.Fuzz(func(t *testing.T, one, two string) {
		text, err := json.Marshal(map[string]any{"a": one, "b": []string{two, one}, one: two, "token": []string{two}, "cookie": one})
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(string(text)); !json.Valid([]byte(got)) {
			t.Errorf("%s\nis no JSON any more:\n%s", text, got)
		}
	})
}

// line is an access log's, of Plex Web asking for a photo.
var line = `{"level":"info","ts":1795000000.1,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.168.1.20","remote_port":"52314","client_ip":"192.168.1.20","proto":"HTTP/2.0","method":"GET","host":"plex.home.duckdns.org","uri":"/photo/:/transcode?width=240&height=360&minSize=1&upscale=1&url=%2Flibrary%2Fmetadata%2F1%2Fthumb%2F1700000000%3FX-Plex-Token%3Dabcdefghijklmnopqrst&X-Plex-Token=abcdefghijklmnopqrst","headers":{"Accept":["image/avif,image/webp"],"Referer":["https://plex.home.duckdns.org/web/index.html"],"User-Agent":["Mozilla/5.0 (X11; Linux x86_64)"]},"tls":{"resumed":false,"version":772}},"bytes_read":0,"user_id":"","duration":0.0021,"size":10240,"status":200}` + "\n"

func BenchmarkAppend(b *testing.B) {
	text := []byte(line)
	clean := redact.Append(nil, text)
	for _, bc := range []struct {
		name string
		line []byte
	}{{"two tokens", text}, {"none", bytes.ReplaceAll(clean, []byte("oken"), []byte("okens"))}} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(bc.line)))
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = redact.Append(buf[:0], bc.line)
			}
		})
	}
}

// shown returns text without credentials.
func shown(text string) string { return string(redact.Append(nil, []byte(text))) }
