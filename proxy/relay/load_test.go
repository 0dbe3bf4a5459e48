package relay_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"plexha/zones"
)

func TestNoUnboundReadFailsWhileNodesComeAndGo(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two"), "plex3": breaks})
	var failed atomic.Int32
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := range 100 {
				got, err := s.do(s.request(http.MethodGet, fmt.Sprintf("/web/%d/%d", c, i), nil))
				if err != nil || got.Status != 200 || got.Body == "" {
					failed.Add(1)
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
	for i := range 50 {
		name := fmt.Sprintf("plex%d", i%2+1)
		s.set(name, zones.Down)
		s.change(func(h *house) { h.cfg.MaxRequests = i % 3 })
		s.set(name, zones.Up)
	}
	clients.Wait()
	if got := metric(t, `plexha_proxy_saves_total{kind="broken",node="plex1",zone="home.example."}`); got == 0 {
		t.Error("no request was saved, so nothing was tested")
	}
	for name := range s.names {
		until(t, name+" has all its slots", func() bool {
			return metric(t, `plexha_proxy_node_requests{node="`+name+`",zone="home.example."}`) == 0
		})
	}
}

func TestClientThatLeavesDuringAnAnswerGivesItsSlotBack(t *testing.T) {
	ended := make(chan struct{}, 1)
	s := newStage(t, limited(1), handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/web/film" {
			return
		}
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("the beginning"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		ended <- struct{}{}
	}})
	req, leave := withCancel(s.request(http.MethodGet, "/web/film", nil))
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	_ = res.Body.Close()
	<-ended // the node is told
	if got := s.get("/web/next"); got.Status != 200 {
		t.Errorf("got %v, want the next answer", got)
	}
}

func TestSiteOfSeveralNodesFollowsTheRequestsVariable(t *testing.T) {
	s := newStage(t, func(h *house) {
		h.routes = func(*stage) caddyhttp.RouteList { return caddyhttp.RouteList{{HandlersRaw: foundHandlers()}} }
	}, handlers{"plex1": says("one"), "plex2": says("two")})
	for _, name := range []string{"plex1", "plex2"} {
		for range 4 {
			if got := s.get("/hubs", "X-Test-Node", name); got.Node != name {
				t.Errorf("got %v, want the answer of %s", got, name)
			}
		}
	}
}
