package resolve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/via"
)

// Server is a resolver that is open to everybody.
type Server struct {
	Name  string         // the one that its certificate is for
	TLS   netip.AddrPort // where it is asked over TLS (RFC 7858); the zero AddrPort: it is not
	Plain netip.AddrPort // where it is asked over UDP and TCP; the zero AddrPort: it is not
}

func (s Server) overTLS() bool    { return s.TLS.IsValid() }
func (s Server) inTheClear() bool { return s.Plain.IsValid() }

// Public returns the servers of three operators, as their documentation names them. The families take turns, so
// that a host that has one alone, and is silently without the other, asks a server that it can reach early.
func Public() []Server {
	at := func(name, addr string) Server {
		a := netip.MustParseAddr(addr)
		return Server{Name: name, TLS: netip.AddrPortFrom(a, 853), Plain: netip.AddrPortFrom(a, 53)}
	}
	const cloudflare, quad9, google = "cloudflare-dns.com", "dns.quad9.net", "dns.google"
	return []Server{
		at(cloudflare, "1.1.1.1"),
		at(quad9, "2620:fe::fe"),
		at(google, "8.8.8.8"),
		at(cloudflare, "2606:4700:4700::1111"),
		at(quad9, "9.9.9.9"),
		at(google, "2001:4860:4860::8888"),
	}
}

// askOverTLS makes a look-up over one connection, which ends with it.
func askOverTLS[T any](ctx context.Context, o Options, s Server, look lookup[T]) (answer[T], error) {
	found, err := func() (answer[T], error) {
		conn, err := o.Path.Dial(ctx, "tcp", s.TLS.String())
		if err != nil {
			return answer[T]{}, err
		}
		defer conn.Close()
		secure := tls.Client(conn, &tls.Config{ServerName: s.Name, RootCAs: o.Roots, MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return answer[T]{}, err
		}
		defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
		return look(ctx, pipeline(&dns.Conn{Conn: secure}))
	}()
	return found, asking(ctx, "over TLS", s.TLS, err)
}

// askInTheClear makes a look-up over UDP, with a socket for each question, and over TCP where that fails.
func askInTheClear[T any](ctx context.Context, path via.Path, s Server, look lookup[T]) (answer[T], error) {
	found, err := look(ctx, func(ctx context.Context, questions []dns.Question) ([]*dns.Msg, error) {
		var (
			wg      sync.WaitGroup
			replies = make([]*dns.Msg, len(questions))
			errs    = make([]error, len(questions))
		)
		for i, q := range questions {
			wg.Go(func() { replies[i], errs[i] = Exchange(ctx, path, query(q), s.Plain) })
		}
		wg.Wait()
		return replies, first(errs)
	})
	return found, asking(ctx, "in the clear", s.Plain, err)
}

// asking completes the error of a look-up. That a connection broke when the time was up is no news.
func asking(ctx context.Context, how string, server netip.AddrPort, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("asking %s %s: %w", server, how, ShortCertificate(err))
}

// pipeline returns an asker that puts all questions on a connection before it waits for the first reply, which
// may come in any order (RFC 7766, section 6.2.1.1). It must not be used by two at once.
func pipeline(conn *dns.Conn) asker {
	return func(_ context.Context, questions []dns.Question) ([]*dns.Msg, error) {
		for i, q := range questions {
			m := query(q)
			m.Id = uint16(i)
			if err := conn.WriteMsg(m); err != nil {
				return nil, err
			}
		}
		replies := make([]*dns.Msg, len(questions))
		for range questions {
			m, err := conn.ReadMsg()
			if err != nil {
				return nil, err
			}
			i := int(m.Id)
			if i >= len(questions) || replies[i] != nil || !repeats(m, questions[i]) {
				return nil, errOther
			}
			replies[i] = m
		}
		return replies, nil
	}
}

func query(q dns.Question) *dns.Msg {
	m := new(dns.Msg)
	m.Id, m.RecursionDesired, m.Question = dns.Id(), true, []dns.Question{q}
	return m
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
