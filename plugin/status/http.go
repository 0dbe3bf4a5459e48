package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// refusal is an answer that is an error.
type refusal struct {
	status int
	why    string
}

// Error implements error.
func (r refusal) Error() string { return r.why }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// route is what is done at a path.
type route struct {
	change bool // it is a POST, for this machine alone; else a GET
	do     func(s *server, w http.ResponseWriter, r *http.Request, shown []*guest) error
}

var routes = map[string]route{
	"/status.json": {do: (*server).status},
	"/detect":      {change: true, do: (*server).detect},
	"/duckdns":     {change: true, do: (*server).push},
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	err := s.answer(w, r)
	if no, ok := errors.AsType[refusal](err); ok {
		w.WriteHeader(no.status)
		_ = write(w, struct {
			Error string `json:"error"`
		}{no.why})
	} // any other means that nobody is left to tell
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) error {
	if !s.isNamed(r.Host) {
		return refuse(http.StatusMisdirectedRequest, "host %q is not known here: ask by address, or for localhost", r.Host)
	}
	to, ok := routes[r.URL.Path]
	if !ok {
		return refuse(http.StatusNotFound, "there is no %s: want one of /status.json, /detect, /duckdns", r.URL.Path)
	}
	shown, err := s.admit(to, w, r)
	if err != nil {
		return err
	}
	return to.do(s, w, r, shown)
}

// admit returns the clusters that the client of a request may see, or change.
func (s *server) admit(to route, w http.ResponseWriter, r *http.Request) ([]*guest, error) {
	methods := []string{http.MethodGet, http.MethodHead}
	if to.change {
		methods = []string{http.MethodPost}
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return nil, refuse(http.StatusMethodNotAllowed, "%s takes %s", r.URL.Path, strings.Join(methods, " or "))
	}
	local := s.isLocal(r)
	if to.change && !local {
		return nil, refuse(http.StatusForbidden, "changes are made on the machine itself")
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return nil, refuse(http.StatusForbidden, "another site's page has asked for it")
	}
	shown := slices.DeleteFunc(s.newest(), func(g *guest) bool { return !local && !g.public })
	if len(shown) == 0 && !local {
		return nil, refuse(http.StatusForbidden, "this is shown on the machine itself: `status ADDRESS public` shows it to others")
	}
	return shown, nil
}

// newest returns the guest of each zone that came last, ordered by zone.
func (s *server) newest() []*guest {
	byZone := map[string]*guest{}
	for _, g := range *s.guests.Load() {
		byZone[g.Zone()] = g
	}
	var out []*guest
	for _, g := range byZone {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *guest) int { return strings.Compare(a.Zone(), b.Zone()) })
	return out
}

func (s *server) status(w http.ResponseWriter, _ *http.Request, shown []*guest) error {
	d := Document{Version: Version, Plexdns: s.version, At: time.Now().UTC(), Clusters: []Cluster{}}
	for _, g := range shown {
		d.Clusters = append(d.Clusters, render(g))
	}
	return write(w, d)
}

// detect starts a round for those that have an address to find.
func (s *server) detect(w http.ResponseWriter, r *http.Request, shown []*guest) error {
	auto := func(u zones.UplinkHealth) bool { return u.Auto }
	finds := func(g *guest) bool { return slices.ContainsFunc(g.Snapshot().Uplinks, auto) }
	return trigger(w, r, shown, finds, Source.Detect, "an uplink whose address is detected")
}

// push has those look at their record that have one.
func (s *server) push(w http.ResponseWriter, r *http.Request, shown []*guest) error {
	pushes := func(g *guest) bool { return g.DuckDNS() != nil }
	return trigger(w, r, shown, pushes, Source.Push, "a `duckdns` line")
}

// Started is the answer to a trigger.
type Started struct {
	Zones []string `json:"zones"` // whose triggers were pulled, as a person writes them
}

// trigger does what is asked to the zone that is asked for, or to all, of those that it concerns.
func trigger(w http.ResponseWriter, r *http.Request, shown []*guest, concerns func(*guest) bool, do func(Source), what string) error {
	shown, err := asked(r, shown)
	if err != nil {
		return err
	}
	var started Started
	for _, g := range shown {
		if concerns(g) {
			do(g.Source)
			started.Zones = append(started.Zones, spoken(g.Zone()))
		}
	}
	if started.Zones == nil {
		return refuse(http.StatusNotFound, "no block that is asked for has %s", what)
	}
	w.WriteHeader(http.StatusAccepted)
	return write(w, started)
}

// asked returns the cluster of the query's zone, or all without one.
func asked(r *http.Request, shown []*guest) ([]*guest, error) {
	zone := spoken(strings.ToLower(r.URL.Query().Get("zone")))
	if zone == "" {
		return shown, nil
	}
	var names []string
	for _, g := range shown {
		name := spoken(g.Zone())
		if name == zone {
			return []*guest{g}, nil
		}
		names = append(names, name)
	}
	return nil, refuse(http.StatusNotFound, "there is no zone %q: want one of %s", zone, strings.Join(names, " "))
}

// spoken returns a zone as a person writes it.
func spoken(zone string) string { return strings.TrimSuffix(zone, ".") }

func write(w http.ResponseWriter, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
