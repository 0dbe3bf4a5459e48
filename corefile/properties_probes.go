package corefile

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// shortestInterval keeps probes from being a load of their own.
const shortestInterval = 100 * time.Millisecond

func (b *block) probe(w *words) {
	switch w.choice("plex|http|tcp|none", "plex", "http", "tcp", "none") {
	case "http":
		b.cfg.Probe = httpProbe(w)
	case "tcp":
		b.cfg.Probe = Probe{Kind: ProbeTCP}
	case "none":
		b.cfg.Probe = Probe{Kind: ProbeNone}
	}
}

func httpProbe(w *words) Probe {
	p := Probe{Kind: ProbeHTTP, StatusMin: 200, StatusMax: 399}
	p.Path = value(w, "PATH", parsePath)
	for o := w.option("status", "body"); o != ""; o = w.option("status", "body") {
		switch o {
		case "status":
			codes := value(w, "status", parseStatusRange)
			p.StatusMin, p.StatusMax = codes[0], codes[1]
		case "body":
			p.Body = value(w, "body", parseRegexp)
		}
	}
	return p
}

func parsePath(s string) (string, error) {
	if _, err := url.ParseRequestURI(s); err != nil || s[0] != '/' || strings.ContainsAny(s, " \t\n#") {
		return "", fmt.Errorf("%q is no path such as /identity", s)
	}
	return s, nil
}

// parseStatusRange takes one status code, or the first and last of a range.
func parseStatusRange(s string) ([2]int, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	low, err1 := parseCount(first, 100, 599)
	high, err2 := parseCount(last, 100, 599)
	if err1 != nil || err2 != nil || low > high {
		return [2]int{}, fmt.Errorf("%q is no status code or range such as 200-399", s)
	}
	return [2]int{low, high}, nil
}

func parseRegexp(s string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", s, err)
	}
	return re, nil
}

func (b *block) interval(w *words) { b.cfg.Interval = w.duration("D", shortestInterval) }

func (b *block) timeout(w *words) { b.cfg.Timeout = w.duration("D", time.Millisecond) }

func (b *block) rise(w *words) { b.cfg.Rise = w.count("N", 1, noLimit) }

func (b *block) fall(w *words) { b.cfg.Fall = w.count("N", 1, noLimit) }

func (b *block) canary(w *words) {
	b.cfg.Canary = hostPortText(b.host(w, "HOST:PORT", parseHostPort))
}
