package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
)

// clock is how times are written: valid in a <time> element, and to be read by people.
const clock = "2006-01-02 15:04:05Z"

// A page should have less than maxPage bytes, so that a phone has it at once; the events are given what is left of
// that, and minEvents at least. What does not fit is in /events.json.
const (
	maxPage   = 98_000
	minEvents = 8_000
)

//go:embed page.tmpl
var layout string

//go:embed page.css
var style string

//go:embed page.js
var script string

var (
	templates = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.UTC().Format(clock) },
	}).Parse(layout))

	// look tells a page whether the program that made it is still the one that answers.
	look = fmt.Sprintf("%x", sha256.Sum256([]byte(layout+style+script)))[:12]

	// policy lets the page run and show what is in it, and nothing else.
	policy = fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; "+
		"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", digest(script), digest(style))
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Show answers with a page.
func Show(w http.ResponseWriter, d Doc) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return Render(w, d)
}

// Render writes a page.
func Render(w io.Writer, d Doc) error {
	g, err := draw(d)
	if err != nil {
		return err
	}
	b := &brush{}
	shell := b.do("page", struct {
		Doc

		Title, Look, State string
		Slot               template.HTML
		Style              template.CSS
		Script             template.JS
	}{d, g.title, look, g.state, slot, template.CSS(style), template.JS(script)}) //nolint:gosec // they are ours
	main := g.main(b)
	if b.err != nil {
		return b.err
	}
	before, after, _ := strings.Cut(shell, slot)
	for _, text := range []string{before, main, after} {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}
