package demo

import (
	"context"
	"net/netip"

	"plexha/e2e/standin"
)

// What the tests look at one by one.
var (
	CheckLoopback = checkLoopback
	FreePlace     = freePlace
	FindPlaces    = findPlaces
	PlexOptions   = plexOptions
	Visitor       = visitor
	TakeTurn      = takeTurn
	AnswerOf      = answerOf
	TrustsByFile  = trustsByFile
	WordsIn       = wordsIn
	Headline      = headline
	Heading       = heading
)

// WatchFilms is what a device plays at that address.
func WatchFilms(ctx context.Context, d Device, place netip.AddrPort, authority string) Film {
	return watchFilms(ctx, d, place, authority)
}

// Frame is what the view shows.
type Frame = frame

// Draw returns it as lines.
func (f *frame) Draw(cols, rows int) []string { return f.draw(cols, rows) }

// DuckName is the home's domain at DuckDNS.
const DuckName = duckName

// Furnished is a home in which nothing but the Internet runs.
type Furnished struct {
	Corefile string // the file
	Roots    []byte // who signed the certificates
	Duck     *standin.DuckDNS

	home *home
}

// Furnish makes one in the folder dir. It must be closed. Echoes over TLS are left out where no program can be
// told to trust them, as withoutTLS says.
func Furnish(ctx context.Context, dir string, withoutTLS bool) (*Furnished, error) {
	names, err := freePlace(ctx, Inside.Addr(), duckPort)
	if err != nil {
		return nil, err
	}
	n, err := openInternet(ctx, names)
	if err != nil {
		return nil, err
	}
	if withoutTLS {
		n.cloudflare = netip.AddrPort{}
	}
	at := func(m Member) netip.AddrPort { return netip.AddrPortFrom(m.Addr(), plexPort) } // nobody is started there
	own := netip.AddrPortFrom(Inside.Addr(), dnsPort)
	p := Places{
		DNS: own, Status: netip.AddrPortFrom(own.Addr(), statusPort), Plex1: at(Plex1), Plex2: at(Plex2),
		Proxy: at(Proxy), ProxyStatus: netip.AddrPortFrom(own.Addr(), proxyStatusPort), Names: names,
	}
	h := &home{Places: p, dir: dir, net: n}
	f := &Furnished{Corefile: h.corefile(), Roots: n.roots, Duck: n.duck, home: h}
	if err := h.furnish(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Move gives it another external address.
func (f *Furnished) Move(m Member) error { return f.home.moveTo(m) }

// Close ends what runs.
func (f *Furnished) Close() { f.home.net.close() }
