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

// logging returns a log to the standard error, and one for each target of an access log. Nothing leaves but through
// the encoder that takes out credentials.
func (b *builder) logging() *caddy.Logging {
	// reverse_proxy puts each request into its logger whether it logs or not, which costs a twentieth of a small
	// request. What it would say of nodes, package relay says.
	main := &caddy.CustomLog{
		BaseLog: caddy.BaseLog{EncoderRaw: redacting("console", logging.LogEncoderConfig{LevelFormat: "upper", TimeFormat: "wall_milli"})},
		// The last two repeat at each start what has been decided here.
		Exclude: []string{"http.handlers.reverse_proxy", accessLogger, "http.auto_https", "admin"},
	}
	main.WriterRaw = writer("stderr")
	all := &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: main}}
	for i, target := range b.accessLogs() {
		name := "access" + strconv.Itoa(i+1)
		log := &caddy.CustomLog{Include: []string{accessLogger + "." + name}}
		log.EncoderRaw, log.WriterRaw = redacting("json", logging.LogEncoderConfig{TimeFormat: "rfc3339_nano"}), writer(target)
		all.Logs[name] = log
	}
	return all
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
