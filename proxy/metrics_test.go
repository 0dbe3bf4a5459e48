package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// families returns the metrics of ours that plexproxy shows.
func (h *house) families() map[string]*dto.MetricFamily {
	h.t.Helper()
	text := h.get(statusAddr, "http://localhost/metrics").body
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	for name := range all {
		if !strings.HasPrefix(name, "plexha_") {
			delete(all, name)
		}
	}
	return all
}

// series returns all of them with their labels, sorted.
func series(all map[string]*dto.MetricFamily) []string {
	var out []string
	for name, f := range all {
		for _, m := range f.Metric {
			out = append(out, fmt.Sprint(name, m.Label))
		}
	}
	slices.Sort(out)
	return out
}

// TestMetricsOfARun compares what a run shows with the manual, both ways.
func TestMetricsOfARun(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off\nmax_requests 7", startNode(t, "plex1"), startNode(t, "plex2")))
	if got := h.get(plainAddr, "http://plex."+home+"/breaks/once"); got.status != http.StatusOK {
		t.Fatalf("the request that is to be saved: %+v", got)
	}
	all := h.families()
	var got []string
	for name, f := range all {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		got = append(got, withLabels(strings.TrimPrefix(name, "plexha_proxy_"), labels))
	}
	slices.Sort(got)
	var want []string
	for _, word := range words(section(t, manual(t, "README.md"), "\n## Metrics\n", "\n## "), "`plexha_proxy_(\\w+\\{[^}]*\\})`") {
		name, labels, _ := strings.Cut(strings.TrimSuffix(word, "}"), "{")
		want = append(want, withLabels(name, strings.Split(labels, ", ")))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-README +run):\n%s", diff)
	}
	var families []*dto.MetricFamily
	for _, f := range all {
		families = append(families, f)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// withLabels returns a metric with its labels in one order.
func withLabels(name string, labels []string) string {
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ", ") + "}"
}

// TestClientsMakeNoMetrics: whatever they ask for, the labels come from the Corefile and from short lists.
func TestClientsMakeNoMetrics(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off\nwildcard", startNode(t, "plex1")))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // so that the test is the same each time
	paths := []string{
		"/", "/library/parts/%d/film.mkv", "/:/timeline?state=playing&ratingKey=%d", "/video/:/transcode/universal/session/%d/0/1.m4s",
		"/photo/:/transcode?url=%d", "/web/%d.js", "/playQueues/%d", "/library/metadata/%d",
	}
	client := h.client(plainAddr)
	ask := func(requests int) []string {
		t.Helper()
		for range requests {
			n := random.IntN(1 << 30)
			path := paths[n%len(paths)]
			if strings.Contains(path, "%d") {
				path = fmt.Sprintf(path, n)
			}
			host := fmt.Sprintf("x%d.%s", n, home)
			got := h.ask(client, []string{"GET", "POST", "PUT"}[n%3], host, path, map[string]string{
				"X-Plex-Client-Identifier": fmt.Sprint(n), "X-Plex-Token": fmt.Sprint(n), "User-Agent": fmt.Sprint(n),
			})
			if got.status != http.StatusOK {
				t.Fatalf("%s%s: %+v", host, path, got)
			}
		}
		return series(h.families())
	}
	first := ask(300)
	if diff := cmp.Diff(first, ask(300)); diff != "" {
		t.Errorf("300 more requests make other series (-before +after):\n%s", diff)
	}
}

// TestMetricsOfNodesThatAreGone are gone.
func TestMetricsOfNodesThatAreGone(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", one, two))
	h.get(plainAddr, "http://plex2."+home+"/x")
	about := func() int {
		return len(slices.DeleteFunc(series(h.families()), func(s string) bool { return !strings.Contains(s, "plex2") }))
	}
	if about() == 0 {
		t.Fatal("there are no metrics of plex2")
	}
	h.apply(h.block(home, "tls off", one))
	if n := about(); n > 0 {
		t.Errorf("there are %d metrics of plex2, which is gone", n)
	}
}
