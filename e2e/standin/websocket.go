package standin

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" // RFC 6455 section 1.3 wants it, and not for secrecy
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// opcode says what a frame is, RFC 6455 section 5.2.
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

// maxFrame bounds a frame that is read: notifications are small.
const maxFrame = 1 << 20

// writeTimeout bounds how long a reader may keep a server from sending a notification.
const writeTimeout = 10 * time.Second

// Websocket is one end of a websocket, RFC 6455, that carries text. One goroutine may read while others write.
type Websocket struct {
	conn   io.ReadWriteCloser
	br     *bufio.Reader
	client bool // it masks what it sends
	pongs  chan []byte
	ended  chan struct{} // closed when Read has failed
	end    func()

	mu sync.Mutex // one frame after the other
}

func newWebsocket(conn io.ReadWriteCloser, br *bufio.Reader, client bool) *Websocket {
	ended := make(chan struct{})
	return &Websocket{
		conn: conn, br: br, client: client, pongs: make(chan []byte, 1),
		ended: ended, end: sync.OnceFunc(func() { close(ended) }),
	}
}

// acceptKey is what a server makes of Sec-WebSocket-Key.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// acceptWebsocket is the server's side of the opening handshake.
func acceptWebsocket(w http.ResponseWriter, r *http.Request) (*Websocket, error) {
	key := r.Header.Get("Sec-Websocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" || r.Header.Get("Sec-Websocket-Version") != "13" {
		return nil, errors.New("no websocket handshake")
	}
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over the connection: %w", err)
	}
	h := w.Header().Clone()
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-Websocket-Accept", acceptKey(key))
	var head strings.Builder
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(&head) // a Builder takes everything
	ws := newWebsocket(conn, brw.Reader, false)
	if _, err := io.WriteString(conn, head.String()+"\r\n"); err != nil {
		_ = ws.conn.Close() // a reader will see it
	}
	return ws, nil
}

// Answer is how a server answered the opening of a websocket. Its zero value is none.
type Answer struct {
	Status int
	Header http.Header
}

// DialWebsocket is the client's side. There may be an answer even with an error.
func DialWebsocket(ctx context.Context, hc *http.Client, url string, header http.Header) (*Websocket, Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, Answer{}, err
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-Websocket-Version", "13")
	req.Header.Set("Sec-Websocket-Key", key)
	resp, err := hc.Do(req)
	if err != nil {
		return nil, Answer{}, err
	}
	answer := Answer{resp.StatusCode, resp.Header}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok || resp.Header.Get("Sec-Websocket-Accept") != acceptKey(key) {
		_ = resp.Body.Close()
		return nil, answer, fmt.Errorf("opening a websocket: %s", resp.Status)
	}
	return newWebsocket(conn, bufio.NewReader(conn), true), answer, nil
}

// Read returns the next text. It answers pings on the way; [io.EOF] is the other's farewell.
func (ws *Websocket) Read() ([]byte, error) {
	text, err := ws.readText()
	if err != nil {
		ws.end()
	}
	return text, err
}

func (ws *Websocket) readText() ([]byte, error) {
	var text []byte
	for {
		op, final, payload, err := ws.readFrame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opPing:
			err = ws.writeFrame(opPong, payload)
		case opPong:
			select {
			case ws.pongs <- payload:
			default: // nobody has asked
			}
		case opClose:
			_ = ws.writeFrame(opClose, payload[:min(len(payload), 2)]) // the other may be gone
			return nil, io.EOF
		case opText, opContinuation:
			if text = append(text, payload...); final {
				return text, nil
			}
		default:
			err = fmt.Errorf("reading a websocket: opcode %d", op)
		}
		if err != nil {
			return nil, err
		}
	}
}

// Write sends a text.
func (ws *Websocket) Write(text []byte) error { return ws.writeFrame(opText, text) }

// Ping sends a ping and waits for its pong, which a concurrent Read has to see.
func (ws *Websocket) Ping(ctx context.Context, payload string) error {
	if err := ws.writeFrame(opPing, []byte(payload)); err != nil {
		return err
	}
	select {
	case pong := <-ws.pongs:
		if string(pong) != payload {
			return fmt.Errorf("pong %q, want %q", pong, payload)
		}
		return nil
	case <-ws.ended:
		return errors.New("waiting for a pong: the websocket has ended")
	case <-ctx.Done():
		return fmt.Errorf("waiting for a pong: %w", context.Cause(ctx))
	}
}

// Close says farewell and closes the connection.
func (ws *Websocket) Close() error {
	_ = ws.writeFrame(opClose, []byte{0x03, 0xe8}) // 1000, normal closure; the other may be gone
	return ws.conn.Close()
}

func (ws *Websocket) readFrame() (op opcode, final bool, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(ws.br, head[:]); err != nil {
		return 0, false, nil, fmt.Errorf("reading a websocket: %w", err)
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var ext uint16
		err = binary.Read(ws.br, binary.BigEndian, &ext)
		size = uint64(ext)
	case 127:
		err = binary.Read(ws.br, binary.BigEndian, &size)
	}
	var mask [4]byte
	if masked := head[1]&0x80 != 0; masked && err == nil {
		_, err = io.ReadFull(ws.br, mask[:])
	}
	if err == nil && size > maxFrame {
		err = fmt.Errorf("a frame of %d bytes", size)
	}
	if err == nil {
		payload = make([]byte, size)
		_, err = io.ReadFull(ws.br, payload)
	}
	if err != nil {
		return 0, false, nil, fmt.Errorf("reading a websocket: %w", err)
	}
	applyMask(payload, mask)
	return opcode(head[0] & 0x0f), head[0]&0x80 != 0, payload, nil
}

func (ws *Websocket) writeFrame(op opcode, payload []byte) error {
	frame := []byte{0x80 | byte(op), 0}
	switch n := len(payload); {
	case n < 126:
		frame[1] = byte(n)
	case n <= 0xffff:
		frame[1] = 126
		frame = binary.BigEndian.AppendUint16(frame, uint16(n))
	default:
		frame[1] = 127
		frame = binary.BigEndian.AppendUint64(frame, uint64(n))
	}
	if ws.client {
		var mask [4]byte
		_, _ = rand.Read(mask[:]) // never fails
		frame[1] |= 0x80
		frame = append(append(frame, mask[:]...), payload...)
		applyMask(frame[len(frame)-len(payload):], mask)
	} else {
		frame = append(frame, payload...)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if c, ok := ws.conn.(net.Conn); ok { // a client's connection is hidden by net/http
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // a connection that is closed says so next
	}
	if _, err := ws.conn.Write(frame); err != nil {
		return fmt.Errorf("writing a websocket: %w", err)
	}
	return nil
}

// applyMask masks and unmasks; a mask of zeros changes nothing.
func applyMask(b []byte, mask [4]byte) {
	for i := range b {
		b[i] ^= mask[i%4]
	}
}
