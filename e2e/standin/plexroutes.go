package standin

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// role is what a token makes of who carries it.
type role int

const (
	nobody role = iota
	guest
	owner
)

// param returns what Plex takes from the header or the query alike, such as X-Plex-Token.
func param(r *http.Request, name string) string {
	if v := r.Header.Get(name); v != "" {
		return v
	}
	return r.URL.Query().Get(name)
}

func (p *Plex) role(r *http.Request) role {
	switch token := param(r, "X-Plex-Token"); {
	case token == "" && p.options.Open:
		return owner
	case token == "":
		return nobody
	case token == p.options.Owner, slices.Contains(p.options.Devices, token):
		return owner
	case slices.Contains(p.options.Guests, token):
		return guest
	default:
		return nobody
	}
}

// newRoutes returns who answers what. Plex asks for no token at its identity, Plex Web's files, and the
// segments of a session, whose number is secret enough.
func (p *Plex) newRoutes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /identity", p.serveIdentity)
	m.HandleFunc("GET /{$}", p.serveRoot)
	p.routeWeb(m)
	p.routeLibrary(m)
	for _, kind := range []string{"video", "audio", "music"} {
		p.routeTranscode(m, "/"+kind+"/:/transcode/universal/")
	}
	p.routePlays(m)
	p.routePushes(m)
	return m
}

// forUsers lets requests with an accepted token through.
func (p *Plex) forUsers(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.role(r) == nobody {
			unauthorized(w)
			return
		}
		h(w, r)
	}
}

// forOwner lets requests with the owner's token through.
func (p *Plex) forOwner(h http.HandlerFunc) http.HandlerFunc {
	return p.forUsers(func(w http.ResponseWriter, r *http.Request) {
		if p.role(r) != owner {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h(w, r)
	})
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, "<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>")
}

func (p *Plex) serveIdentity(w http.ResponseWriter, r *http.Request) {
	claimed := !p.options.Unclaimed
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"MediaContainer":{"size":0,"claimed":%t,"machineIdentifier":%q,"version":%q}}`,
			claimed, p.Identity(), p.options.Version)
		return
	}
	digit := 0
	if claimed {
		digit = 1
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<MediaContainer size="0" claimed="%d" machineIdentifier=%q version=%q>`+"\n</MediaContainer>\n",
		digit, p.Identity(), p.options.Version)
}

// serveRoot says who it is, and shows browsers Plex Web. Without a token a real server hangs up after it, too.
func (p *Plex) serveRoot(w http.ResponseWriter, r *http.Request) {
	if p.role(r) == nobody && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/web/index.html", http.StatusFound)
		return
	}
	if p.role(r) == nobody {
		w.Header().Set("Connection", "close")
		unauthorized(w)
		return
	}
	reply(w, r, container{
		FriendlyName:      p.options.Name,
		MachineIdentifier: p.Identity(),
		Version:           p.options.Version,
		Transcoding:       len(p.plays.transcoding()),
	})
}

// container is what Plex calls MediaContainer: the root of nearly every answer, in XML or JSON.
type container struct {
	XMLName                 xml.Name    `json:"-" xml:"MediaContainer"`
	Size                    int         `json:"size" xml:"size,attr"`
	FriendlyName            string      `json:"friendlyName,omitempty" xml:"friendlyName,attr,omitempty"`
	MachineIdentifier       string      `json:"machineIdentifier,omitempty" xml:"machineIdentifier,attr,omitempty"`
	Version                 string      `json:"version,omitempty" xml:"version,attr,omitempty"`
	Transcoding             int         `json:"transcoderActiveVideoSessions,omitempty" xml:"transcoderActiveVideoSessions,attr,omitempty"`
	GeneralDecisionCode     int         `json:"generalDecisionCode,omitempty" xml:"generalDecisionCode,attr,omitempty"`
	PlayQueueID             int         `json:"playQueueID,omitempty" xml:"playQueueID,attr,omitempty"`
	PlayQueueSelectedItemID int         `json:"playQueueSelectedItemID,omitempty" xml:"playQueueSelectedItemID,attr,omitempty"`
	Directory               []directory `json:"Directory,omitempty" xml:"Directory"`
	Hub                     []hub       `json:"Hub,omitempty" xml:"Hub"`
	Metadata                []metadata  `json:"Metadata,omitempty" xml:"Video"`
	TranscodeSession        []transcode `json:"TranscodeSession,omitempty" xml:"TranscodeSession"`
}

type directory struct {
	Key   string `json:"key" xml:"key,attr"`
	Title string `json:"title" xml:"title,attr"`
	Type  string `json:"type" xml:"type,attr"`
}

type hub struct {
	Title    string     `json:"title" xml:"title,attr"`
	Metadata []metadata `json:"Metadata,omitempty" xml:"Video"`
}

type metadata struct {
	RatingKey  string   `json:"ratingKey" xml:"ratingKey,attr"`
	Key        string   `json:"key" xml:"key,attr"`
	GUID       string   `json:"guid" xml:"guid,attr"`
	Title      string   `json:"title" xml:"title,attr"`
	Thumb      string   `json:"thumb" xml:"thumb,attr"`
	ViewOffset int      `json:"viewOffset,omitempty" xml:"viewOffset,attr,omitempty"`
	ViewCount  int      `json:"viewCount,omitempty" xml:"viewCount,attr,omitempty"`
	Media      []media  `json:"Media,omitempty" xml:"Media"`
	Player     *player  `json:"Player,omitempty" xml:"Player"`
	Session    *viewing `json:"Session,omitempty" xml:"Session"`
}

type media struct {
	Part []part `json:"Part" xml:"Part"`
}

type part struct {
	ID   int    `json:"id" xml:"id,attr"`
	Key  string `json:"key" xml:"key,attr"`
	Size int64  `json:"size" xml:"size,attr"`
}

type player struct {
	MachineIdentifier string `json:"machineIdentifier" xml:"machineIdentifier,attr"`
	State             string `json:"state" xml:"state,attr"`
}

type viewing struct {
	ID string `json:"id" xml:"id,attr"`
}

type transcode struct {
	Key      string `json:"key" xml:"key,attr"`
	Protocol string `json:"protocol" xml:"protocol,attr"`
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// reply writes c as the request wants it. Its size is that of its list.
func reply(w http.ResponseWriter, r *http.Request, c container) {
	c.Size = max(len(c.Directory), len(c.Hub), len(c.Metadata), len(c.TranscodeSession))
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]container{"MediaContainer": c}) // the client may be gone
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(c)
}
