package standin

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
)

// webFiles returns what Plex Web consists of, by path. The names of most files hold a hash of their content,
// so those of another version do not exist. Like the index page itself, the favicon is in every version. A person
// who looks at the page sees the server's name.
func webFiles(version, name string) map[string]string {
	files := map[string]string{"/web/favicon.ico": "icon"}
	var index strings.Builder
	add := func(format, tag string, n int) {
		hash := fmt.Sprintf("%.5x", sha256.Sum256(fmt.Appendf(nil, "%s %s %d", version, format, n)))
		path := fmt.Sprintf(format, n, hash)
		files[path] = strings.Repeat(hash+"\n", 1000)
		fmt.Fprintf(&index, tag+"\n", path)
	}
	name = html.EscapeString(cmp.Or(name, "Plex"))
	fmt.Fprintf(&index, "<!DOCTYPE html><title>%s</title>\n<link rel=\"icon\" href=\"/web/favicon.ico\">\n", name)
	for n := range 8 {
		add("/web/js/chunk-%d-%s.js", `<script src="%s"></script>`, n)
	}
	for n := range 2 {
		add("/web/chunk-%d-%s.css", `<link rel="stylesheet" href="%s">`, n)
		add("/web/static/%d.%s.png", `<img hidden src="%s">`, n)
	}
	fmt.Fprintf(&index, "<h1>%s</h1>\n<p>A stand-in for a Plex Media Server.\n", name)
	files["/web/index.html"] = index.String()
	return files
}

// contentTypes are those of Plex Web's files.
var contentTypes = map[string]string{
	"html": "text/html", "js": "text/javascript", "css": "text/css", "png": "image/png", "ico": "image/x-icon",
}

func (p *Plex) routeWeb(m *http.ServeMux) {
	files := webFiles(p.options.Web, p.options.Name)
	m.HandleFunc("GET /web", func(w http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		http.Redirect(w, r, scheme+"://"+r.Host+"/web/index.html", http.StatusMovedPermanently)
	})
	m.HandleFunc("GET /web/{file...}", func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentTypes[r.URL.Path[strings.LastIndexByte(r.URL.Path, '.')+1:]])
		_, _ = io.WriteString(w, content)
	})
}
