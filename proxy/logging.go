package proxy

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"

	"plexha/corefile"
)

// accessLogger is what Caddy calls its access logs, before the name that a listener gives one.
const accessLogger = "http.log.access"

// Loggers of Caddy's.
var (
	// spoken for elsewhere. reverse_proxy puts each request into its logger whether it logs or not, which costs a
	// twentieth of a small request: what it would say of nodes, package relay says. The last two repeat at each start
	// what has been decided here.
	silent = []string{"http.handlers.reverse_proxy", accessLogger, "http.auto_https", "admin"}
	// certificates tells what becomes of certificates, and chores of the rest of TLS, mostly that it keeps house.
	certificates = []string{"tls.obtain", "tls.renew"}
	chores       = []string{"tls"}
)

// logging returns logs to the standard error, and one for each target of an access log. Nothing leaves but through
// the encoder that takes out credentials.
func (b *builder) logging() *caddy.Logging {
	logs := map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: stderr("INFO"), Exclude: slices.Concat(silent, chores)},
		"certificates":          {BaseLog: stderr("INFO"), Include: certificates},
		"chores":                {BaseLog: stderr("WARN"), Include: chores, Exclude: certificates},
	}
	for i, target := range b.accessLogs() {
		name := "access" + strconv.Itoa(i+1)
		logs[name] = &caddy.CustomLog{
			BaseLog: caddy.BaseLog{
				EncoderRaw: redacting("json", logging.LogEncoderConfig{TimeFormat: "rfc3339_nano"}),
				WriterRaw:  writer(target),
			},
			Include: []string{accessLogger + "." + name},
		}
	}
	return &caddy.Logging{Logs: logs}
}

// stderr returns a log to the standard error, in lines for people.
func stderr(level string) caddy.BaseLog {
	return caddy.BaseLog{
		EncoderRaw: redacting("console", logging.LogEncoderConfig{LevelFormat: "upper", TimeFormat: "wall_milli"}),
		WriterRaw:  writer("stderr"),
		Level:      level,
	}
}

// accessLogs returns the targets of access logs, each once.
func (b *builder) accessLogs() []string {
	var out []string
	for _, c := range b.blocks {
		if c.AccessLog != "" && !slices.Contains(out, c.AccessLog) {
			out = append(out, c.AccessLog)
		}
	}
	return out
}

// serverLogs says which hosts of a listener are logged where. nil: none is.
func (b *builder) serverLogs(f *front) *caddyhttp.ServerLogConfig {
	logs := &caddyhttp.ServerLogConfig{LoggerNames: map[string]caddyhttp.StringArray{}, SkipUnmappedHosts: true}
	for _, c := range f.blocks {
		i := slices.Index(b.accessLogs(), c.AccessLog)
		if i < 0 {
			continue
		}
		for _, host := range slices.Concat(hosts(c).apex, hosts(c).below) {
			logs.LoggerNames[host] = caddyhttp.StringArray{"access" + strconv.Itoa(i+1)}
		}
	}
	if len(logs.LoggerNames) == 0 {
		return nil
	}
	return logs
}

func redacting(format string, config logging.LogEncoderConfig) json.RawMessage {
	inner := struct {
		Wrap json.RawMessage `json:"wrap"`
	}{caddyconfig.JSONModuleObject(config, "format", format, nil)}
	return caddyconfig.JSONModuleObject(inner, "format", "plexha_redact", nil)
}

// writer returns Caddy's writer to a standard stream or a file, which it rotates.
func writer(target string) json.RawMessage {
	switch target {
	case "stderr", corefile.AccessLogStdout:
		return caddyconfig.JSONModuleObject(struct{}{}, "output", target, nil)
	default:
		return caddyconfig.JSONModuleObject(struct {
			Filename string `json:"filename"`
		}{target}, "output", "file", nil)
	}
}
