package redact

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
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

// lines are the buffers of lines that had something to take out.
var lines = buffer.NewPool()

// EncodeEntry implements [zapcore.Encoder].
func (e *Encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	scratch := buffers.Get().(*[]byte)
	defer buffers.Put(scratch)
	out, found := appendTo((*scratch)[:0], line.Bytes())
	if !found {
		return line, nil
	}
	*scratch = out
	line.Free()
	clean := lines.Get()
	clean.AppendBytes(out)
	return clean, nil
}

// Interface guards
var (
	_ caddy.Provisioner = (*Encoder)(nil)
	_ zapcore.Encoder   = (*Encoder)(nil)
)
