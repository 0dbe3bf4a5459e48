package playback_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/affinity"
	"plexha/proxy/playback"
	"plexha/zones"
)

// scene is a house whose clients' requests nodes answer well. Its clock is the bubble's.
type scene struct {
	*testing.T

	pins  *affinity.Table
	table *playback.Table
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{T: t, pins: affinity.NewTable(100), table: playback.NewTable(100)}
}

// What clients ask. A client is named behind it, as in decision+tv: its id and its token are its name.
const (
	decision = "/video/:/transcode/universal/decision?session=s1&X-Plex-Session-Identifier=i1"
	start    = "/video/:/transcode/universal/start.mpd?session=s1&X-Plex-Session-Identifier=i1"
	segment  = "/video/:/transcode/universal/session/s1/0/1.m4s"
	ping     = "/video/:/transcode/universal/ping?session=s1"
	stop     = "/video/:/transcode/universal/stop?session=s1"
	part     = "/library/parts/1/17/film.mkv?download=0"
	media    = "/downloadQueue/1/item/2/media?"
	playing  = "/:/timeline?state=playing"
	paused   = "/:/timeline?state=paused"
	stopped  = "/:/timeline?state=stopped"

	tv    = "&X-Plex-Client-Identifier=tv&X-Plex-Token=tv"
	phone = "&X-Plex-Client-Identifier=phone&X-Plex-Token=phone"
	film  = "&X-Plex-Token=tv" // a player that the TV's app has handed a file to
)

// opens has a node begin to answer.
func (s *scene) opens(node zones.NodeName, target string) playback.Answer {
	s.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		s.Fatal(err)
	}
	k := affinity.Parse(&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}})
	p := affinity.Placement{Node: node, By: affinity.ByClient}
	nodes := &affinity.Nodes{All: []affinity.Node{{Name: "plex1", Up: true, New: true}, {Name: "plex2", Up: true, New: true}}}
	s.pins.Answered(k, p, node, http.StatusOK, nodes, time.Now())
	sign, ok := s.pins.Sign(&k)
	if !ok {
		return playback.Answer{}
	}
	return s.table.Begin(sign, node, time.Now())
}

// answers has a node answer, one request after the other.
func (s *scene) answers(node zones.NodeName, targets ...string) {
	s.Helper()
	for _, target := range targets {
		s.opens(node, target).End(time.Now())
	}
}

// plays compares what is played, as "NODE STATE".
func (s *scene) plays(want ...string) {
	s.Helper()
	var got []string
	for _, p := range s.table.List(time.Now()) {
		got = append(got, fmt.Sprintf("%s %s", p.Node, p.State))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("playbacks (-want +got):\n%s", diff)
	}
}

// within runs a test in a bubble.
func within(t *testing.T, do func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { do(newScene(t)) })
}

func TestWhatBeginsAPlayback(t *testing.T) {
	for name, tt := range map[string]struct {
		asked string
		want  []string
	}{
		"a decision":                  {decision + tv, []string{"plex1 playing"}},
		"a start":                     {start + tv, []string{"plex1 playing"}},
		"a segment":                   {segment, []string{"plex1 playing"}},
		"a part":                      {part + tv, []string{"plex1 playing"}},
		"a part with the token alone": {part + film, []string{"plex1 playing"}},
		"a download":                  {media + tv, []string{"plex1 playing"}},
		"a timeline":                  {playing + tv, []string{"plex1 playing"}},
		"one that buffers":            {"/:/timeline?state=buffering" + tv, []string{"plex1 playing"}},
		"one that is paused":          {paused + tv, []string{"plex1 paused"}},
		"a ping":                      {ping, []string{"plex1 playing"}},
		"an end is none":              {stopped + tv, nil},
		"nor a stop":                  {stop + tv, nil},
		"nor a timeline that names nobody, as there is nobody to be told apart": {playing, nil},
		"nor a part":        {part, nil},
		"nor a page":        {"/library/metadata/1?" + tv, nil},
		"nor a scrobble":    {"/:/scrobble?key=1" + tv, nil},
		"nor a queue":       {"/playQueues/1?own=1" + tv, nil},
		"nor notifications": {"/:/websockets/notifications?" + tv, nil},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", tt.asked)
				s.plays(tt.want...)
			})
		})
	}
}

// TestOneFilmIsOnePlayback, by whatever of its client it is asked for.
func TestOneFilmIsOnePlayback(t *testing.T) {
	for name, asked := range map[string][]string{
		"Plex Web":                           {decision + tv, start + tv, segment, playing + "&X-Plex-Session-Identifier=i1" + tv, ping + tv, segment},
		"an app whose timeline has no id":    {decision + tv, segment, playing + tv, segment},
		"an app of which segments are first": {segment, playing + "&session=s1" + tv, segment},
		"an app that hands its file over":    {decision + tv, part + film, playing + tv, part + film},
		"and tells of it later":              {part + film, playing + tv, part + film},
		"an app that plays files":            {part + tv, playing + tv, part + tv},
		"sessions that go by their client":   {"/video/:/transcode/universal/decision?session=tv" + tv, playing + tv},
		"a change of quality":                {part + tv, decision + tv, segment},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", asked...)
				s.plays("plex1 playing")
				s.answers("plex1", stopped+tv)
				s.plays()
			})
		})
	}
}

func TestSeveralPlaybacks(t *testing.T) {
	within(t, func(s *scene) {
		s.answers("plex1", decision+tv)
		s.answers("plex2", playing+phone)
		s.plays("plex1 playing", "plex2 playing")
		s.answers("plex1", paused+tv)
		s.plays("plex1 paused", "plex2 playing")
		s.answers("plex2", stopped+phone)
		s.plays("plex1 paused")
	})
}

// TestTwoWindowsOfABrowser have one client id.
func TestTwoWindowsOfABrowser(t *testing.T) {
	another := strings.NewReplacer("s1", "s2", "i1", "i2")
	within(t, func(s *scene) {
		s.answers("plex1", decision+tv, another.Replace(decision)+tv)
		s.plays("plex1 playing", "plex1 playing")
		s.answers("plex1", stopped+"&X-Plex-Session-Identifier=i1"+tv)
		s.plays("plex1 playing")
		s.answers("plex1", another.Replace(segment), segment)
		s.plays("plex1 playing")
		s.answers("plex1", stopped+"&X-Plex-Session-Identifier=i2"+tv)
		s.plays()
	})
}

func TestAPlaybackMovesWithItsClient(t *testing.T) {
	for name, tt := range map[string]struct {
		asked string
		want  []string
	}{
		"a decision":                 {decision + tv, []string{"plex2 playing"}},
		"a timeline":                 {playing + tv, []string{"plex2 playing"}},
		"a segment of its session":   {segment, []string{"plex2 playing"}},
		"a part is read beside it":   {part + tv, []string{"plex1 paused", "plex2 playing"}},
		"another client moves none":  {playing + phone, []string{"plex1 paused", "plex2 playing"}},
		"nor does what ends nothing": {stopped + tv, []string{"plex1 paused"}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", decision+tv, paused+tv)
				s.answers("plex2", tt.asked)
				s.plays(tt.want...)
			})
		})
	}
}

func TestAnAnswerUnderWayDoesNotMove(t *testing.T) {
	within(t, func(s *scene) {
		film := s.opens("plex1", part+tv)
		s.answers("plex2", decision+tv)
		s.plays("plex1 playing", "plex2 playing")
		film.End(time.Now())
		s.answers("plex2", playing+tv)
		s.plays("plex2 playing")
	})
}

// How long a playback goes on without a sign of each kind.
func TestSilence(t *testing.T) {
	for name, tt := range map[string]struct {
		asked []string
		lasts time.Duration
	}{
		"a decision":           {[]string{decision + tv}, 2 * time.Minute},
		"a timeline":           {[]string{playing + tv}, 2 * time.Minute},
		"a segment":            {[]string{segment}, 2 * time.Minute},
		"a part":               {[]string{part + tv}, 2 * time.Minute},
		"a ping":               {[]string{decision + tv, ping}, 2 * time.Minute},
		"a pause":              {[]string{playing + tv, paused + tv}, 10 * time.Minute},
		"a pause that ends":    {[]string{paused + tv, playing + tv}, 2 * time.Minute},
		"a pause with a start": {[]string{paused + tv, start + tv}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", tt.asked...)
				time.Sleep(tt.lasts - time.Second)
				if n := len(s.table.List(time.Now())); n != 1 {
					t.Errorf("a second before the end there are %d", n)
				}
				time.Sleep(time.Second)
				s.plays()
			})
		})
	}
}

func TestSignsOfLife(t *testing.T) {
	for _, sign := range []string{playing + tv, decision + tv, segment, part + film, ping} {
		t.Run(sign, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", decision+tv)
				for range 10 {
					time.Sleep(time.Minute + 59*time.Second)
					s.answers("plex1", sign)
					s.plays("plex1 playing")
				}
			})
		})
	}
}

// TestWhilePausedTimelinesAloneCount: an app that is paused pings, and reads ahead.
func TestWhilePausedTimelinesAloneCount(t *testing.T) {
	within(t, func(s *scene) {
		s.answers("plex1", decision+tv, paused+tv)
		for range 3 {
			time.Sleep(9 * time.Minute)
			s.answers("plex1", paused+tv)
		}
		for range 9 {
			time.Sleep(time.Minute)
			s.answers("plex1", ping, segment)
			s.plays("plex1 paused")
		}
		time.Sleep(time.Minute)
		s.plays()
	})
}

func TestAnAnswerUnderWayKeepsAPlayback(t *testing.T) {
	for _, asked := range []string{part + tv, segment, media + tv} {
		t.Run(asked, func(t *testing.T) {
			within(t, func(s *scene) {
				film := s.opens("plex1", asked)
				time.Sleep(3 * time.Hour)
				s.plays("plex1 playing")
				if got := s.table.List(time.Now())[0].Last; !got.Equal(time.Now()) {
					t.Errorf("its last sign was at %v, want now", got)
				}
				film.End(time.Now())
				time.Sleep(2*time.Minute - time.Second)
				s.plays("plex1 playing")
				time.Sleep(time.Second)
				s.plays()
			})
		})
	}
}

func TestAPausedOneWhoseAnswerIsUnderWay(t *testing.T) {
	within(t, func(s *scene) {
		film := s.opens("plex1", part+tv)
		s.answers("plex1", paused+tv)
		time.Sleep(time.Hour)
		s.plays("plex1 paused")
		film.End(time.Now())
		s.plays()
	})
}

func TestAStoppedOneWhoseAnswerIsUnderWay(t *testing.T) {
	within(t, func(s *scene) {
		film := s.opens("plex1", part+tv)
		s.answers("plex1", stopped+tv)
		s.plays("plex1 stopped")
		time.Sleep(time.Hour)
		s.plays("plex1 stopped")
		film.End(time.Now())
		s.plays()
	})
}

// TestWhatIsReadAfterTheEnd belongs to it: a player has asked for several segments at once.
func TestWhatIsReadAfterTheEnd(t *testing.T) {
	within(t, func(s *scene) {
		s.answers("plex1", decision+tv, segment, stopped+tv)
		s.plays()
		s.answers("plex1", segment)
		s.plays()
		late := s.opens("plex1", segment)
		s.plays("plex1 stopped")
		late.End(time.Now())
		s.plays()
		time.Sleep(10 * time.Second)
		s.answers("plex1", segment)
		s.plays("plex1 playing")
	})
}

func TestTheNextFilm(t *testing.T) {
	for name, asked := range map[string]string{
		"with a decision on the same session": decision + tv,
		"with one on another":                 strings.ReplaceAll(decision, "1", "2") + tv,
		"with a timeline":                     playing + tv,
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				s.answers("plex1", decision+tv, stopped+tv)
				time.Sleep(time.Second)
				s.answers("plex1", asked)
				s.plays("plex1 playing")
				if got := s.table.List(time.Now())[0].Since; !got.Equal(time.Now()) {
					t.Errorf("it plays since %v, want now", got)
				}
			})
		})
	}
}

func TestTheFullTable(t *testing.T) {
	within(t, func(s *scene) {
		s.table = playback.NewTable(2)
		s.answers("plex1", playing+tv)
		time.Sleep(time.Second)
		s.answers("plex2", playing+phone)
		time.Sleep(time.Second)
		s.answers("plex1", playing+tv)
		s.answers("plex2", playing+"&X-Plex-Client-Identifier=tablet")
		s.plays("plex1 playing", "plex2 playing")
		s.answers("plex2", stopped+phone) // has made room
		s.plays("plex1 playing", "plex2 playing")
	})
}

// TestWhoeverMakesClientsUpHidesNoFilm: one that is handed over as a whole is asked for once.
func TestWhoeverMakesClientsUpHidesNoFilm(t *testing.T) {
	within(t, func(s *scene) {
		s.table = playback.NewTable(3)
		one, two := s.opens("plex1", part+tv), s.opens("plex1", part+phone)
		for i := range 10 {
			time.Sleep(time.Second)
			s.answers("plex2", fmt.Sprintf("%s&X-Plex-Client-Identifier=made-up-%d", playing, i))
		}
		s.plays("plex1 playing", "plex1 playing", "plex2 playing")
		one.End(time.Now())
		two.End(time.Now())
	})
}

// TestDueIsToCome once it has been seen to: whoever waits for it would not wait at all.
func TestDueIsToCome(t *testing.T) {
	for name, said := range map[string]string{"paused": paused + tv, "stopped": stopped + tv} {
		t.Run(name, func(t *testing.T) {
			within(t, func(s *scene) {
				film := s.opens("plex1", part+tv)
				s.answers("plex1", said)
				time.Sleep(time.Hour)
				s.table.Expire(time.Now())
				film.End(time.Now())
				s.table.Expire(time.Now())
				if due := s.table.Due(); !due.IsZero() {
					t.Errorf("due at %v, %v ago", due, time.Since(due))
				}
			})
		})
	}
}

// TestManySessionsOfOnePlayback: it is found by the last four.
func TestManySessionsOfOnePlayback(t *testing.T) {
	within(t, func(s *scene) {
		s.answers("plex1", decision+tv)
		for i := range 20 {
			s.answers("plex1", fmt.Sprintf("%s&session=more%d%s", playing, i, tv))
		}
		s.plays("plex1 playing")
		s.answers("plex1", strings.ReplaceAll(segment, "s1", "more19"))
		s.plays("plex1 playing")
	})
}

func TestNews(t *testing.T) {
	within(t, func(s *scene) {
		news, cancel := s.table.Subscribe()
		defer cancel()
		told := func(what string, want bool) {
			t.Helper()
			select {
			case <-news:
				if !want {
					t.Errorf("%s is told", what)
				}
			default:
				if want {
					t.Errorf("%s is not told", what)
				}
			}
		}
		s.answers("plex1", decision+tv)
		told("the begin", true)
		s.answers("plex1", segment, playing+tv)
		told("that it goes on", false)
		s.answers("plex1", paused+tv)
		told("the pause", true)
		film := s.opens("plex1", part+tv)
		told("what is read", false)
		s.answers("plex1", stopped+tv)
		told("the end", true)
		film.End(time.Now())
		told("the end of the answer", true)
		s.answers("plex1", playing+tv)
		told("another begin", true)
		s.answers("plex2", playing+tv)
		told("a move", true)
		due := s.table.Due()
		if want := time.Now().Add(2 * time.Minute); !due.Equal(want) {
			t.Errorf("due at %v, want %v", due, want)
		}
		time.Sleep(time.Until(due))
		s.table.Expire(time.Now())
		told("the silence", true)
		if due := s.table.Due(); !due.IsZero() {
			t.Errorf("due at %v, though there is nothing", due)
		}
		cancel()
		s.answers("plex1", decision+tv)
		told("after the subscription", false)
	})
}

// TestWhatIsShown are nodes and times.
func TestWhatIsShown(t *testing.T) {
	within(t, func(s *scene) {
		begun := time.Now().UTC()
		s.answers("plex1", decision+tv)
		time.Sleep(time.Minute)
		s.answers("plex1", segment)
		want := []playback.Playback{{Node: "plex1", State: playback.Playing, Since: begun, Last: begun.Add(time.Minute)}}
		if diff := cmp.Diff(want, s.table.List(time.Now())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzTable: whatever is asked, in whatever order, no more is kept than has room, and all of it ends.
func FuzzTable(f *testing.F) {
	asked := []string{
		decision + tv, start + phone, segment, ping, stop + tv, part + film, part + phone, media + tv,
		playing + tv, paused + phone, stopped + tv, stopped + phone,
	}
	f.Add([]byte{0, 2, 8, 10, 0x12, 0x85, 0x81})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := newScene(t)
		s.table = playback.NewTable(3)
		now := time.Unix(1_800_000_000, 0)
		var open []playback.Answer
		for _, b := range script {
			node := zones.NodeName([]string{"plex1", "plex2"}[b>>4&1])
			u, err := url.ParseRequestURI(asked[int(b&15)%len(asked)])
			if err != nil {
				t.Fatal(err)
			}
			k := affinity.Parse(&http.Request{Method: http.MethodGet, URL: u})
			sign, _ := s.pins.Sign(&k)
			now = now.Add(time.Duration(b) * time.Second)
			open = append(open, s.table.Begin(sign, node, now))
			if b&0x80 == 0 {
				open = slices.Insert(open[:len(open)-1], 0, open[len(open)-1])
			}
			open[0].End(now)
			open = open[1:]
			if n := len(s.table.List(now)); n > 3 {
				t.Fatalf("there are %d, and room for 3", n)
			}
			s.table.Expire(now)
			if due := s.table.Due(); !due.IsZero() && !due.After(now) {
				t.Fatalf("due at %v, and it is %v", due, now)
			}
		}
		for _, a := range open {
			a.End(now)
		}
		if left := s.table.List(now.Add(time.Hour)); len(left) > 0 {
			t.Errorf("an hour later there are %v", left)
		}
	})
}

// BenchmarkBegin measures a sign of one of many playbacks, and its end.
func BenchmarkBegin(b *testing.B) {
	for _, many := range []int{10, 1000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			table, now := playback.NewTable(1000), time.Unix(1_800_000_000, 0)
			for i := range many {
				table.Begin(affinity.Sign{Act: affinity.Begins, Client: uint64(i + 1)}, "plex1", now).End(now)
			}
			s := affinity.Sign{Act: affinity.Reads, Client: uint64(many)}
			b.ReportAllocs()
			for b.Loop() {
				table.Begin(s, "plex1", now).End(now)
			}
		})
	}
}

// TestASignAllocatesNothing, but for the first of a playback.
func TestASignAllocatesNothing(t *testing.T) {
	s, now := newScene(t), time.Unix(1_800_000_000, 0)
	u, err := url.ParseRequestURI(segment)
	if err != nil {
		t.Fatal(err)
	}
	k := affinity.Parse(&http.Request{Method: http.MethodGet, URL: u})
	if n := testing.AllocsPerRun(100, func() {
		sign, _ := s.pins.Sign(&k)
		s.table.Begin(sign, "plex1", now).End(now)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
