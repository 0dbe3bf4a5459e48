package status

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones"
)

// routes returns what is done at each path.
func (s *server) routes() map[string]door.Route {
	return map[string]door.Route{
		"/":            {Show: s.page},
		"/live":        {Show: s.live, Stream: true},
		"/status.json": {Show: s.status},
		"/events.json": {Show: s.eventsJSON},
		"/events":      {Show: s.events, Stream: true},
		"/order":       {Change: s.order},
		"/detect":      {Change: s.detect},
		"/duckdns":     {Change: s.push},
	}
}

// shown returns the guest of each zone that came last, ordered by zone, of those that this machine or others may see.
func (s *server) shown(local bool) []*guest {
	byZone := map[string]*guest{}
	for _, g := range s.house.Load().guests {
		byZone[g.Zone()] = g
	}
	var out []*guest
	for _, g := range byZone {
		if local || g.public {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b *guest) int { return strings.Compare(a.Zone(), b.Zone()) })
	return out
}

// document returns what those who may see it are shown.
func (s *server) document(shown []*guest) Document {
	d := Document{Version: Version, Plexdns: s.version, At: time.Now().UTC(), Clusters: []Cluster{}}
	for _, g := range shown {
		d.Clusters = append(d.Clusters, render(g))
	}
	return d
}

func (s *server) status(w http.ResponseWriter, _ *http.Request, local bool) error {
	return door.WriteJSON(w, s.document(s.shown(local)))
}

// doc returns the page. It is drawn from a [Document], so that both say the same.
func (s *server) doc(local bool) page.Doc {
	shown := s.shown(local)
	document := s.document(shown)
	d := Draw(&document)
	d.Changes, d.Host = local, s.host
	for i, g := range shown {
		d.Clusters[i].Events = g.Timeline().Since(0)
	}
	return d
}

func (s *server) page(w http.ResponseWriter, _ *http.Request, local bool) error {
	return page.Show(w, s.doc(local))
}

// live tells a page what changes, in whatever clusters are shown at the time.
func (s *server) live(w http.ResponseWriter, r *http.Request, local bool) error {
	news, end := s.follow(r.Context(), local)
	defer end()
	return s.pages[local].Live(w, r, news)
}

// logs returns the timelines of those that are shown.
func (s *server) logs(local bool) []page.Log {
	var logs []page.Log
	for _, g := range s.shown(local) {
		logs = append(logs, page.Log{Zone: spoken(g.Zone()), Timeline: g.Timeline()})
	}
	return logs
}

func (s *server) eventsJSON(w http.ResponseWriter, r *http.Request, local bool) error {
	return page.EventsJSON(w, r, s.logs(local))
}

// events streams until the clusters that are shown are others. Whoever asks again is told the rest.
func (s *server) events(w http.ResponseWriter, r *http.Request, local bool) error {
	ctx, end := s.whileAlike(r.Context(), local)
	defer end()
	return page.Events(w, r.WithContext(ctx), s.logs(local))
}

// detect starts a round for those that have an address to find.
func (s *server) detect(r *http.Request) (int, any, error) {
	auto := func(u zones.UplinkHealth) bool { return u.Auto }
	finds := func(g *guest) bool { return slices.ContainsFunc(g.Snapshot().Uplinks, auto) }
	return s.trigger(r, finds, Source.Detect, "an uplink whose address is detected")
}

// push has those look at their record that have one.
func (s *server) push(r *http.Request) (int, any, error) {
	pushes := func(g *guest) bool { return g.DuckDNS() != nil }
	return s.trigger(r, pushes, Source.Push, "a `duckdns` line")
}

// Started is the answer to a change.
type Started struct {
	Zones []string `json:"zones"` // whose triggers were pulled, or to whom the order was given, as a person writes them
}

// trigger does what is asked to the zone that is asked for, or to all, of those that it concerns.
func (s *server) trigger(r *http.Request, concerns func(*guest) bool, do func(Source), what string) (int, any, error) {
	asked, err := s.asked(r.Form.Get("zone"))
	if err != nil {
		return 0, nil, err
	}
	var started Started
	for _, g := range asked {
		if concerns(g) {
			do(g.Source)
			started.Zones = append(started.Zones, spoken(g.Zone()))
		}
	}
	if started.Zones == nil {
		return 0, nil, door.Refuse(http.StatusNotFound, "no block that is asked for has %s", what)
	}
	return http.StatusAccepted, started, nil
}

// asked returns the cluster of a zone, or all without one.
func (s *server) asked(zone string) ([]*guest, error) {
	shown := s.shown(true)
	zone = spoken(strings.ToLower(zone))
	if zone == "" {
		return shown, nil
	}
	for _, g := range shown {
		if spoken(g.Zone()) == zone {
			return []*guest{g}, nil
		}
	}
	return nil, door.Refuse(http.StatusNotFound, "there is no zone %q: want one of %s", zone, names(shown))
}

// names lists the zones of clusters.
func names(guests []*guest) string {
	var all []string
	for _, g := range guests {
		all = append(all, spoken(g.Zone()))
	}
	return strings.Join(all, " ")
}

// spoken returns a zone as a person writes it.
func spoken(zone string) string { return strings.TrimSuffix(zone, ".") }
