package status

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"plexha/corefile/state"
	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones"
	"plexha/zones/board"
)

// Options say what is shown at one listener, and to whom.
type Options struct {
	Version string          // plexproxy's
	Sources func() []Source // the clusters that are shown there now
	Socket  bool            // it is a Unix socket: whoever reaches that is of this machine
	Public  bool            // shown to others than this machine, who can change nothing
}

// New returns what answers at a listener.
func New(o Options) *door.Door {
	s := &shower{Options: o}
	s.studios = map[bool]*page.Studio{
		true:  page.NewStudio(func() page.Doc { return s.doc(true) }),
		false: page.NewStudio(func() page.Doc { return s.doc(false) }),
	}
	return &door.Door{
		Socket: o.Socket, Line: "proxy_status",
		Public: func() bool { return o.Public },
		Routes: map[string]door.Route{
			"/":            {Show: s.page},
			"/live":        {Show: s.live, Stream: true},
			"/status.json": {Show: s.document},
			"/events.json": {Show: s.events},
			"/events":      {Show: s.follow, Stream: true},
			"/order":       {Change: s.order},
		},
	}
}

// shower shows the clusters of one listener.
type shower struct {
	Options

	studios map[bool]*page.Studio // for this machine, and for others
}

func (s *shower) document(w http.ResponseWriter, _ *http.Request, _ bool) error {
	return door.WriteJSON(w, Render(s.Version, s.Sources(), time.Now()))
}

// doc returns the page of now. Who may change things sees how.
func (s *shower) doc(local bool) page.Doc {
	sources := s.Sources()
	d := Draw(Render(s.Version, sources, time.Now()))
	d.Changes = local
	d.Host, _ = os.Hostname() // without it the page says less
	for i, src := range sources {
		d.Clusters[i].Events = src.Timeline().Since(0)
	}
	return d
}

func (s *shower) page(w http.ResponseWriter, _ *http.Request, local bool) error {
	return page.Show(w, s.doc(local))
}

func (s *shower) live(w http.ResponseWriter, r *http.Request, local bool) error {
	news, end := s.news(r.Context())
	defer end()
	return s.studios[local].Live(w, r, news)
}

// news returns a channel that holds a value whenever one of the clusters has news, and a function that ends the
// subscription.
func (s *shower) news(ctx context.Context) (news <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	all := make(chan struct{}, 1)
	var listening sync.WaitGroup
	for _, src := range s.Sources() {
		one, leave := src.News()
		listening.Go(func() {
			defer leave()
			forward(ctx, one, all)
		})
	}
	return all, func() {
		cancel()
		listening.Wait()
	}
}

// forward fills a channel of one slot for each value of another one.
func forward(ctx context.Context, from <-chan struct{}, to chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-from:
		}
		select {
		case to <- struct{}{}:
		default:
		}
	}
}

func (s *shower) logs() []page.Log {
	var logs []page.Log
	for _, src := range s.Sources() {
		logs = append(logs, page.Log{Zone: spoken(src), Timeline: src.Timeline()})
	}
	return logs
}

func (s *shower) events(w http.ResponseWriter, r *http.Request, _ bool) error {
	return page.EventsJSON(w, r, s.logs())
}

func (s *shower) follow(w http.ResponseWriter, r *http.Request, _ bool) error {
	return page.Events(w, r, s.logs())
}

// Ordered is the answer to an order.
type Ordered struct {
	Zones []string `json:"zones"` // where it holds, as a person writes them
}

func (s *shower) order(r *http.Request) (status int, answer any, err error) {
	o, err := page.ReadOrder(r.Form, time.Now())
	if err != nil {
		return 0, nil, door.Refuse(http.StatusBadRequest, "%v", err)
	}
	src, err := s.meant(o)
	if err != nil {
		return 0, nil, err
	}
	what, _ := zones.OrderOf(o.Order) // ReadOrder returns no other
	err = src.Order(board.OrderLine{Name: o.Name, Order: what, Until: o.Until, Why: o.Why})
	if _, ok := errors.AsType[*state.OrderError](err); ok {
		return 0, nil, door.Refuse(http.StatusBadRequest, "%v", err)
	}
	if err != nil {
		return 0, nil, door.Refuse(http.StatusInternalServerError, "%v", err)
	}
	return http.StatusOK, Ordered{[]string{spoken(src)}}, nil
}

// meant returns the cluster that an order is for: the one that it names, or else the only one that it can be for.
func (s *shower) meant(o page.Order) (Source, error) {
	var found, names, hold []string
	var meant Source
	zone := strings.ToLower(strings.TrimSuffix(o.Zone, "."))
	sources := s.Sources()
	for _, src := range sources {
		found = append(found, spoken(src))
		names = append(names, src.Names()...)
		if zone == "" && len(sources) > 1 && src.Named(o.Name) || zone == "" && len(sources) == 1 || zone == spoken(src) {
			hold, meant = append(hold, spoken(src)), src
		}
	}
	switch {
	case len(hold) == 1:
		return meant, nil
	case zone != "":
		return nil, door.Refuse(http.StatusNotFound, "there is no zone %q: want one of %s", o.Zone, strings.Join(found, " "))
	case len(hold) > 1:
		return nil, door.Refuse(http.StatusBadRequest, "%s is in several zones: say which with zone=, one of %s",
			o.Name, strings.Join(hold, " "))
	default:
		return nil, door.Refuse(http.StatusNotFound, "there is no node, proxy or uplink %q: want one of %s",
			o.Name, strings.Join(names, " "))
	}
}

// spoken returns a cluster's zone as a person writes it.
func spoken(src Source) string { return strings.TrimSuffix(src.Zone(), ".") }
