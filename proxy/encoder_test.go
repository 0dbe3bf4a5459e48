package proxy_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"plexha/proxy/redact"
)

// loadEncoder makes the encoder as Caddy does.
func loadEncoder(t *testing.T, config string) (zapcore.Encoder, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("caddy.logging.encoders.plexha_redact", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(zapcore.Encoder), nil
}

// revealing returns a request with a token wherever Plex apps put it.
func revealing() *http.Request {
	return &http.Request{
		Method: http.MethodGet, Host: "plex.home.duckdns.org", RemoteAddr: "192.168.1.20:5", Proto: "HTTP/1.1",
		URL:        &url.URL{Path: "/photo"},
		RequestURI: "/photo?url=%2Fthumb%3FX-Plex-Token%3Dsecret&X-Plex-Token=secret",
		Header: http.Header{
			"X-Plex-Token": {"secret"}, "Cookie": {"a=secret"}, "Authorization": {"Bearer secret"},
			"Referer": {"https://plex.home.duckdns.org/?X-Plex-Token=secret"},
		},
	}
}

func TestEncoder(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		t.Run(format, func(t *testing.T) {
			enc, err := loadEncoder(t, `{"wrap":{"format":"`+format+`"}}`)
			if err != nil {
				t.Fatal(err)
			}
			with := enc.Clone()
			zap.String("uri", "/?X-Plex-Token=secret").AddTo(with)
			buf, err := with.EncodeEntry(zapcore.Entry{Message: "asking with token=secret"}, []zapcore.Field{
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: revealing(), ShouldLogCredentials: true}),
				zap.Error(errors.New(`Get "/?X-Plex-Token=secret": EOF`)),
			})
			if err != nil {
				t.Fatal(err)
			}
			line := buf.String()
			if strings.Contains(line, "secret") || strings.Count(line, "[redacted]") < 9 {
				t.Errorf("the line is %s", line)
			}
			if format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
			clean, err := enc.EncodeEntry(zapcore.Entry{Message: "nothing here"}, nil)
			if err != nil || !strings.Contains(clean.String(), "nothing here") {
				t.Errorf("a clean line is %s, %v", clean, err)
			}
		})
	}
}

func TestEncoderWrapsAnother(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                          "wrap is missing",
		`{"wrap":{"format":"morse"}}`: "morse",
	} {
		_, err := loadEncoder(t, config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
}

// TestTheAlarmIsLegible: it speaks of tokens, and none is in it.
func TestTheAlarmIsLegible(t *testing.T) {
	node := startNode(t, "plex1")
	node.open = true
	h := newHouse(t)
	h.apply(h.block(home, "tls off", node))
	const says = "shows its libraries without a token, so that whoever comes through the proxy is its admin"
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		log := strings.Join(h.log, "\n")
		h.mu.Unlock()
		if strings.Contains(log, "ALARM") {
			if out := string(redact.Append(nil, []byte(log))); !strings.Contains(out, says) {
				t.Errorf("the log says %s", out)
			}
			return
		}
	}
	t.Error("there is no alarm")
}
