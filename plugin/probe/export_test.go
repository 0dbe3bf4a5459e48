package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"plexha/plugin/via"
	"plexha/zones"
	"plexha/zones/board"
)

type (
	Answer = answer
	Wake   = wake
	Names  = names
)

// The answers that fake places give.
func Good(identity string) Answer { return Answer{result: board.OK, identity: identity} }
func Bad(why string) Answer       { return answerFailed(why) }
func Refused() Answer             { return Answer{result: board.Failed, why: "connection refused", refused: true} }

func CutOff() Answer {
	return Answer{result: board.Failed, why: "connection reset by peer", broken: true}
}
func Maintained() Answer { return Answer{result: board.Starting, why: "in maintenance"} }
func Unanswered(ctx context.Context) Answer {
	<-ctx.Done()
	return answerError(ctx, ctx.Err())
}

// The wakes that a fake link gives.
func Closed() Wake           { return Wake{closed: true} }
func Reset() Wake            { return Wake{why: "connection reset by peer", closed: true} }
func Broken(why string) Wake { return Wake{why: why} }
func (a answer) Why() string { return a.why }

// Finding returns what an answer says, for comparison.
func (a answer) Finding() (result board.Result, identity, why string) {
	return a.result, a.identity, a.why
}

func (a answer) Refused() bool { return a.refused }

// Asking replaces all questions.
func (o Options) Asking(f func(ctx context.Context, s zones.Subject, at netip.AddrPort, fresh bool) Answer) Options {
	o.ask = func(at place) asker {
		return askFunc(func(ctx context.Context, fresh bool) answer { return f(ctx, at.subject, at.at, fresh) })
	}
	return o
}

// Linking replaces all link watches.
func (o Options) Linking(f func(ctx context.Context, up <-chan struct{}, wakes chan<- Wake)) Options {
	o.link = func(place) link { return f }
	return o
}

// Naming replaces the system's resolver.
func (o Options) Naming(n Names) Options {
	o.names = n
	return o
}

// Jittering replaces chance.
func (o Options) Jittering(f func(time.Duration) time.Duration) Options {
	o.jitter = f
	return o
}

// Trusting replaces the system's roots.
func (o Options) Trusting(roots *x509.CertPool) Options {
	o.roots = roots
	return o
}

// Asker asks one place by hand.
type Asker struct{ asker }

func NodeAsker(o Options, n zones.Node, at netip.AddrPort) Asker {
	p := New(o)
	return Asker{p.nodeAsker(n, place{n.Subject(), at})}
}

func ProxyAsker(o Options, at netip.AddrPort) Asker {
	p := New(o)
	return Asker{p.proxyAsker(place{zones.Proxy{Addrs: []netip.AddrPort{at}}.Subject(), at})}
}

// HostHeader is how a proxy is called when it is asked.
func HostHeader(a Asker) string { return a.asker.(*httpAsker).request.Host }

// CertWatch is what looks at a proxy's certificate: look at each handshake, stale before each question.
func CertWatch(name string, warn func(string)) (look func(tls.ConnectionState) error, stale func(time.Time) bool) {
	c := &certWatch{place: place{subject: zones.Subject{Kind: zones.KindProxy}}, name: name, warn: warn}
	return c.look, c.stale
}

func EndpointAsker(hostPort string, n Names) Asker {
	return Asker{newEndpoint(hostPort, via.Path{}, n, time.Second)}
}

func (a Asker) Ask(ctx context.Context, fresh bool) Answer { return a.ask(ctx, fresh) }
func (a Asker) Close()                                     { a.close() }

func DialServer(ctx context.Context, avoid []netip.AddrPort, address string) (net.Conn, error) {
	d := serverDialer{ours: ourServers(avoid)}
	return d.dial(ctx, "udp", address)
}

// SystemNames is the system's resolver without the servers to avoid.
func SystemNames(avoid []netip.AddrPort) Names { return newResolver(avoid) }

func TCPLink(at netip.AddrPort) func(ctx context.Context, up <-chan struct{}, wakes chan<- Wake) {
	return tcpLink(place{at: at})
}

// Relink is a link watch whose links last as long as once does.
func Relink(once func(context.Context)) func(ctx context.Context, up <-chan struct{}, wakes chan<- Wake) {
	return relink(func(ctx context.Context) (wake, bool) {
		once(ctx)
		return wake{closed: true}, true
	})
}

// EndOfLink holds a link until it ends, and returns what its loop is told.
func EndOfLink(ctx context.Context, conn *net.TCPConn) Wake { return wakeOf(hold(ctx, conn)) }

var (
	ParseIdentity = parseIdentity
	Number        = number
	CertWords     = certWords
	ResolvConf    = resolvConf
)
