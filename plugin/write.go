package plugin

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"sync"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// questions and buffers are used again and again by ServeDNS.
var (
	questions = sync.Pool{New: func() any { return new(pack.Question) }}
	buffers   = sync.Pool{New: func() any { return new([]byte) }}
)

// writeReady answers with bytes that lie ready, if there are some for the question, and nobody between us and the
// client needs to see a message.
func (p *Plex) writeReady(w dns.ResponseWriter, q *pack.Question) bool {
	c := p.current.Load()
	addr, limit := p.clientOf(w, q)
	direct, recorded := looksAt(w)
	if c == nil || !c.snap.Ready || limit == 0 || !direct {
		return false
	}
	a, z, kind := p.find(c, q, c.seatOf(addr))
	if a.Answer == nil || a.Len(q) > limit || recorded && a.Rcode() != dns.RcodeSuccess {
		return false
	}
	answers.WithLabelValues(z.origin, z.view.String(), kind.String()).Inc()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = a.Append((*buf)[:0], q, a.next())
	if _, err := w.Write(*buf); err != nil {
		log.Debugf("writing an answer to %s: %v", addr, err)
	}
	return true
}

// clientOf returns the address of who asks, and how many bytes may be written to that.
func (p *Plex) clientOf(w dns.ResponseWriter, q *pack.Question) (addr netip.Addr, limit int) {
	remote := w.RemoteAddr()
	if wrapped, is := remote.(interface{ Unwrap() net.Addr }); is {
		remote = wrapped.Unwrap()
	}
	switch remote := remote.(type) {
	case *net.TCPAddr:
		return remote.AddrPort().Addr(), dns.MaxMsgSize
	case *net.UDPAddr:
		addr = remote.AddrPort().Addr()
		if p.front.bytesUDP {
			limit = q.Limit(addr)
		}
	}
	return addr, limit
}

// turnOf returns which of its addresses the answer to a question begins with.
func (p *Plex) turnOf(z *zone, q *pack.Question) uint32 {
	if q == nil {
		return z.turn.Add(1) - 1
	}
	a, _ := p.ready(z, q)
	return a.next()
}

// looksAt reports whether what is written reaches the client as it is, since all writers before its connection are
// known to hand it on, and whether one of them, prometheus's, notes the code of messages but not that of bytes.
//
// A writer that collects an answer for somebody else, such as a plugin that follows a CNAME, would hand bytes on to the
// client past that one. Therefore each writer must be known, also those of CoreDNS that have no exported type: they are
// looked through by reflection.
func looksAt(w dns.ResponseWriter) (direct, recorded bool) {
	for {
		switch known := w.(type) {
		case *request.ScrubWriter:
			w = known.ResponseWriter
			continue
		case *metrics.Recorder:
			w, recorded = known.Recorder.ResponseWriter, true
			continue
		case *dnsserver.DoQWriter:
			return true, recorded
		}
		v := reflect.ValueOf(w)
		if v.Type() != trackers {
			return isConnection(v.Type()), recorded
		}
		w, _ = v.Elem().Field(trackedField).Interface().(dns.ResponseWriter)
	}
}

// isConnection reports whether a writer is that of a miekg/dns server.
func isConnection(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "github.com/miekg/dns"
}

// trackers is the type of the writers by which CoreDNS tells who has answered, and trackedField the field of one that
// holds the writer behind.
var trackers, trackedField = findTrackers()

func findTrackers() (t reflect.Type, field int) {
	_, _ = plugin.NextOrFailure("", plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		t = reflect.TypeOf(w)
		return 0, nil
	}), context.Background(), nil, nil)
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		if f, ok := t.Elem().FieldByName("ResponseWriter"); ok && len(f.Index) == 1 {
			return t, f.Index[0]
		}
	}
	return nil, 0 // another CoreDNS than the one that we know: none is looked through
}
