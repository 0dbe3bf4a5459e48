package standin

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// serveWeb answers HTTP with what answer writes, unless the fault is one that needs nothing of it.
func (s *EchoServer) serveWeb(answer func(w http.ResponseWriter, r *http.Request, told netip.Addr, fault EchoFault)) error {
	l, _, err := s.listen(true, false)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from, _ := netip.ParseAddrPort(r.RemoteAddr)
			told, fault := s.ask(r.Context(), from.Addr().Unmap())
			if !fault.answer(w, r, told) {
				answer(w, r, told, fault)
			}
		}),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes that fail are what some tests are about
	}
	serve := server.Serve
	if c := s.options.Certificate; c != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*c}}
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = serve(l)
	}()
	s.close = func() {
		_ = server.Close()
		<-done
	}
	return nil
}

// answer writes what does not depend on what was asked, and reports whether there is such a thing.
func (f EchoFault) answer(w http.ResponseWriter, r *http.Request, told netip.Addr) bool {
	switch f {
	case EchoSilent, EchoReset:
		panic(http.ErrAbortHandler)
	case EchoFail:
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case EchoPortal:
		page(w, http.StatusOK, "<html><body>Accept our terms, then <a href=\""+r.URL.String()+"\">go on</a></body></html>")
	case EchoHTML:
		page(w, http.StatusOK, "<html><body>Current IP Address: "+told.String()+"</body></html>")
	case EchoRedirect:
		http.Redirect(w, r, "http://"+portalAddr.String()+"/login", http.StatusFound)
	case EchoEndless:
		for chunk := bytes.Repeat([]byte(" "), 1<<16); r.Context().Err() == nil; {
			_, _ = w.Write(chunk)
		}
	default:
		return false
	}
	return true
}

func (s *EchoServer) serveEchoHTTP() error {
	return s.serveWeb(func(w http.ResponseWriter, r *http.Request, told netip.Addr, fault EchoFault) {
		word := told.String()
		if fault == EchoJunk {
			word = "not an address"
		}
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/cdn-cgi/trace" {
			_, _ = fmt.Fprintf(w, "fl=1f1\nh=%s\nip=%s\nts=1.5\nvisit_scheme=https\nwarp=off\n", r.Host, word)
			return
		}
		_, _ = io.WriteString(w, word+"\n")
	})
}

// servePackets answers UDP packets with what reply returns, if it returns something.
func (s *EchoServer) servePackets(reply func(ctx context.Context, packet []byte, from netip.AddrPort) []byte) error {
	_, udp, err := s.listen(false, true)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &packetServer{udp: udp}
	d.reply = func(packet []byte, from netip.AddrPort, _ bool) []byte { return reply(ctx, packet, from) }
	s.close = func() {
		cancel()
		d.close()
	}
	d.start()
	return nil
}
