package standin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// film is an item of the library, under the numbers that this server gives it.
type film struct {
	index int // among the films, which are the same on every server
	key   int // ratingKey
	part  int
	stamp int64 // when its file changed, in seconds since 1970

	viewOffset int // ms
	viewCount  int
}

// library is one section of films.
type library struct {
	section  int
	fileSize int64

	mu    sync.Mutex
	films []film // in the order of their titles
}

func newLibrary(o PlexOptions) library {
	films := make([]film, o.Films)
	for i := range films {
		n := o.IDBase + i
		films[i] = film{index: i, key: n + 1, part: n + 1001, stamp: int64(1_700_000_000 + 1000*o.IDBase + i)}
	}
	return library{section: o.IDBase + 1, fileSize: o.FilmSize, films: films}
}

// all returns the films that there are now.
func (l *library) all() []metadata {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]metadata, len(l.films))
	for i, f := range l.films {
		all[i] = l.metadata(f)
	}
	return all
}

// film returns the film that fits, after change, and whether there is one.
func (l *library) film(fits func(film) bool, change func(*film)) (film, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.films {
		if f := &l.films[i]; fits(*f) {
			if change != nil {
				change(f)
			}
			return *f, true
		}
	}
	return film{}, false
}

// byKey returns the film with that ratingKey.
func (l *library) byKey(key string) (film, bool) {
	return l.film(func(f film) bool { return strconv.Itoa(f.key) == key }, nil)
}

func (l *library) hasPart(id string) bool {
	_, ok := l.film(func(f film) bool { return strconv.Itoa(f.part) == id }, nil)
	return ok
}

// byPath returns the film that /library/metadata/KEY or a path below it is of.
func (l *library) byPath(path string) (film, bool) {
	rest, ok := strings.CutPrefix(path, "/library/metadata/")
	key, _, _ := strings.Cut(rest, "/")
	f, found := l.byKey(key)
	return f, ok && found
}

// change changes the film with that ratingKey, and tells whether there is one.
func (l *library) change(key string, change func(*film)) bool {
	_, ok := l.film(func(f film) bool { return strconv.Itoa(f.key) == key }, change)
	return ok
}

// remove deletes the film with that ratingKey, and tells whether there was one.
func (l *library) remove(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.films {
		if strconv.Itoa(f.key) == key {
			l.films = append(l.films[:i:i], l.films[i+1:]...)
			return true
		}
	}
	return false
}

func (l *library) metadata(f film) metadata {
	key := "/library/metadata/" + strconv.Itoa(f.key)
	return metadata{
		RatingKey:  strconv.Itoa(f.key),
		Key:        key,
		GUID:       fmt.Sprintf("plex://movie/%024x", f.index),
		Title:      fmt.Sprintf("Film %03d", f.index),
		Thumb:      fmt.Sprintf("%s/thumb/%d", key, f.stamp),
		ViewOffset: f.viewOffset,
		ViewCount:  f.viewCount,
		Media: []media{{Part: []part{{
			ID: f.part, Key: fmt.Sprintf("/library/parts/%d/%d/file.mkv", f.part, f.stamp), Size: l.fileSize,
		}}}},
	}
}

func (p *Plex) routeLibrary(m *http.ServeMux) {
	m.HandleFunc("GET /library/sections", p.forUsers(p.serveSections))
	m.HandleFunc("GET /library/sections/{section}/all", p.inSection(p.serveFilms))
	m.HandleFunc("GET /hubs/sections/{section}", p.inSection(p.serveHubs))
	m.HandleFunc("GET /hubs/sections/{section}/continueWatching/items", p.inSection(p.serveContinue))
	m.HandleFunc("GET /playlists/all", p.forUsers(func(w http.ResponseWriter, r *http.Request) { reply(w, r, container{}) }))
	m.HandleFunc("GET /library/metadata/{key}", p.forUsers(p.serveMetadata))
	m.HandleFunc("DELETE /library/metadata/{key}", p.forOwner(p.serveDelete))
	m.HandleFunc("POST /library/metadata/{key}/posters", p.forOwner(p.serveUpload))
	m.HandleFunc("GET /library/metadata/{key}/thumb/{stamp}", p.forUsers(p.serveThumb))
	m.HandleFunc("GET /photo/:/transcode", p.forUsers(p.servePhoto))
	m.HandleFunc("GET /library/parts/{part}/{stamp}/{file}", p.forUsers(p.servePart))
	m.HandleFunc("GET /library/parts/{part}/indexes/sd/{ms}", p.forUsers(p.serveFrame))
	m.HandleFunc("PUT /library/parts/{part}", p.forUsers(p.serveChoice))
	m.HandleFunc("GET /downloadQueue/{queue}/item/{item}/media", p.forUsers(serveLater))
}

func (p *Plex) serveSections(w http.ResponseWriter, r *http.Request) {
	reply(w, r, container{Directory: []directory{{Key: strconv.Itoa(p.library.section), Title: "Films", Type: "movie"}}})
}

// inSection lets users through, to a section of this server.
func (p *Plex) inSection(h http.HandlerFunc) http.HandlerFunc {
	return p.forUsers(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("section") != strconv.Itoa(p.library.section) {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	})
}

func (p *Plex) serveFilms(w http.ResponseWriter, r *http.Request) {
	reply(w, r, container{Metadata: p.library.all()})
}

func (p *Plex) serveHubs(w http.ResponseWriter, r *http.Request) {
	reply(w, r, container{Hub: []hub{{Title: "Recently Added Films", Metadata: p.library.all()}}})
}

// serveContinue answers with what somebody has begun to watch.
func (p *Plex) serveContinue(w http.ResponseWriter, r *http.Request) {
	var begun []metadata
	for _, m := range p.library.all() {
		if m.ViewOffset > 0 {
			begun = append(begun, m)
		}
	}
	reply(w, r, container{Metadata: begun})
}

func (p *Plex) serveMetadata(w http.ResponseWriter, r *http.Request) {
	f, ok := p.library.byKey(r.PathValue("key"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	reply(w, r, container{Metadata: []metadata{p.library.metadata(f)}})
}

func (p *Plex) serveDelete(w http.ResponseWriter, r *http.Request) {
	if !p.library.remove(r.PathValue("key")) {
		http.NotFound(w, r)
	}
}

// serveUpload takes a body of any length. The journal says how long it was.
func (p *Plex) serveUpload(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.library.byKey(r.PathValue("key")); !ok {
		http.NotFound(w, r)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "the body ended early", http.StatusBadRequest)
		return
	}
	reply(w, r, container{})
}

func (p *Plex) serveThumb(w http.ResponseWriter, r *http.Request) { p.image(w, r, r.URL.Path) }

// servePhoto scales an image of this server, the one in url=.
func (p *Plex) servePhoto(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(r.URL.Query().Get("url"))
	if err != nil {
		http.Error(w, "url= is no URL", http.StatusBadRequest)
		return
	}
	p.image(w, r, u.Path)
}

// image answers with the thumb at that path.
func (p *Plex) image(w http.ResponseWriter, r *http.Request, path string) {
	f, ok := p.library.byPath(path)
	if !ok || p.library.metadata(f).Thumb != path {
		http.NotFound(w, r)
		return
	}
	jpeg(w, path)
}

// jpeg answers with some kilobytes that begin as a JPEG does, other ones for every path.
func jpeg(w http.ResponseWriter, path string) {
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = io.WriteString(w, "\xff\xd8\xff\xe0"+strings.Repeat(path, 100))
}

// serveFrame answers with a picture out of a file.
func (p *Plex) serveFrame(w http.ResponseWriter, r *http.Request) {
	if !p.library.hasPart(r.PathValue("part")) {
		http.NotFound(w, r)
		return
	}
	jpeg(w, r.URL.Path)
}

// servePart answers with a file as it is, or a piece of it.
func (p *Plex) servePart(w http.ResponseWriter, r *http.Request) {
	id, stamp := r.PathValue("part"), r.PathValue("stamp")
	f, ok := p.library.film(func(f film) bool { return strconv.Itoa(f.part) == id && strconv.FormatInt(f.stamp, 10) == stamp }, nil)
	switch {
	case !ok:
		http.NotFound(w, r)
	case p.options.Decisions && !p.plays.decided(r, f.key):
		http.Error(w, "no decision", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "video/x-matroska")
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%.8s-%s-%s", p.Identity(), id, stamp)))
		http.ServeContent(w, r, "", time.Unix(f.stamp, 0), newFootage(p.library.fileSize, p.Identity(), "part", id))
	}
}

// serveChoice takes the choice of an audio or subtitle stream.
func (p *Plex) serveChoice(w http.ResponseWriter, r *http.Request) {
	if !p.library.hasPart(r.PathValue("part")) {
		http.NotFound(w, r)
	}
}

// serveLater answers for a download that is still being made.
func serveLater(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// footagePeriod is after how many bytes footage repeats itself: a prime, so that a piece shows where it is from.
const footagePeriod = 65521

// footage is a film's bytes, other ones for every server and every name.
type footage struct {
	pattern []byte
	size    int64
	offset  int64
}

func newFootage(size int64, name ...string) *footage {
	f := &footage{pattern: make([]byte, min(size, footagePeriod)), size: size}
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(strings.Join(name, " ")))).Read(f.pattern) // never fails
	return f
}

// Read implements [io.Reader].
func (f *footage) Read(b []byte) (n int, err error) {
	if f.offset >= f.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), f.size-f.offset)]
	for n < len(b) {
		n += copy(b[n:], f.pattern[(f.offset+int64(n))%footagePeriod:])
	}
	f.offset += int64(n)
	return n, nil
}

// Seek implements [io.Seeker].
func (f *footage) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the start")
	}
	f.offset = offset
	return offset, nil
}
