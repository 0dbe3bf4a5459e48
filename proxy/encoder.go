package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"plexha/proxy/redact"
)

func init() { caddy.RegisterModule(new(Encoder)) }

// Encoder is a Caddy log encoder that takes credentials out of each line of another one, whatever field they
// stand in: the message, an error, a URL, a header.
type Encoder struct {
	// WrapRaw is the encoder that makes the lines.
	WrapRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	zapcore.Encoder `json:"-"`
}

// CaddyModule implements [caddy.Module].
func (*Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.encoders.plexha_redact", New: func() caddy.Module { return new(Encoder) }}
}

// Provision implements [caddy.Provisioner].
func (e *Encoder) Provision(ctx caddy.Context) error {
	if e.WrapRaw == nil {
		return errors.New("wrap is missing: name the encoder that makes the lines")
	}
	module, err := ctx.LoadModule(e, "WrapRaw")
	if err != nil {
		return fmt.Errorf("loading the encoder: %w", err)
	}
	inner, ok := module.(zapcore.Encoder)
	if !ok {
		return fmt.Errorf("%T is no encoder", module)
	}
	e.Encoder = inner
	return nil
}

// Clone implements [zapcore.Encoder].
func (e *Encoder) Clone() zapcore.Encoder { return &Encoder{Encoder: e.Encoder.Clone()} }

// cleaned holds lines while they are copied.
var cleaned = sync.Pool{New: func() any { return new([]byte) }}

// EncodeEntry implements [zapcore.Encoder].
func (e *Encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	clean := cleaned.Get().(*[]byte)
	defer cleaned.Put(clean)
	*clean = redact.Append((*clean)[:0], line.Bytes())
	line.Reset()
	line.AppendBytes(*clean)
	return line, nil
}

// Interface guards
var (
	_ caddy.Provisioner = (*Encoder)(nil)
	_ zapcore.Encoder   = (*Encoder)(nil)
)
