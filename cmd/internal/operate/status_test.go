package operate_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/operate"
	"plexha/cmd/internal/socket"
	"plexha/plugin/status/page"
)

// doc is a page with one node that is down.
func doc() page.Doc {
	return page.Doc{Program: "plexdns", Version: "1.2.3", At: eight, Clusters: []page.Cluster{{
		Zone: "home.test", Level: page.Poor, Headline: "plex1 is down", Since: eight, Why: "connection refused", More: 1,
		Troubles: []page.Trouble{
			{Level: page.Poor, Text: "plex1 is down", Since: eight, Why: "connection refused"},
			{Level: page.Poor, Text: "plex2 is an impostor", Since: eight, Why: "it says\nit is\x1b[2J plex1"},
			{Level: page.Doubt, Text: "the record is not verified"},
		},
		Sections: []page.Section{
			{Name: "nodes", Title: "Nodes", Columns: []string{"node", "state", "order", "why"}, Rows: []page.Row{
				{Cells: []page.Cell{{Text: "plex1", Small: "127.0.0.1:32401"}, {Text: "down", Badge: page.Poor, Time: eight}, {}, {Text: "connection refused"}}},
				{Cells: []page.Cell{{Text: "plex2"}, {Text: "up", Badge: page.Good}, {}, {}}},
			}},
			{Name: "proxies", Title: "Proxies", Columns: []string{"proxy"}},
		},
	}}}
}

// TestText: what the page shows stands in columns, without those in which nobody has anything.
func TestText(t *testing.T) {
	since := local(eight)
	want := `home.test: plex1 is down since ` + since + `: connection refused; and 1 more (plexdns)

home.test, plexdns

   plex2 is an impostor since ` + since + `: it says it is[2J plex1
   the record is not verified

Nodes
   NODE                     STATE                     WHY
   plex1 (127.0.0.1:32401)  down ` + since + `  connection refused
   plex2                    up
`
	if diff := cmp.Diff(want, operate.Status(false, []page.Doc{doc()})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestColours: the same text, with the words of states coloured.
func TestColours(t *testing.T) {
	got := operate.Status(true, []page.Doc{doc()})
	for _, want := range []string{"\x1b[33mplex1 is down since", "\x1b[33mdown " + local(eight) + "\x1b[0m", "\x1b[32mup\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%q", want, got)
		}
	}
	for _, code := range []string{"\x1b[33m", "\x1b[32m", "\x1b[0m"} {
		got = strings.ReplaceAll(got, code, "")
	}
	strip := func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	if diff := cmp.Diff(operate.Status(false, []page.Doc{doc()}), strip(got)); diff != "" {
		t.Errorf("without colours (-want +got):\n%s", diff)
	}
}

// TestPlain: nothing that others say moves the cursor or turns the text around.
func TestPlain(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{" a\tb\r\nc ", "a b  c"},
		{"\x1b[2J\a\u009b1m", "[2J1m"},
		{"\u202eevil", "evil"},
		{"\xffx", "\ufffdx"},
		{"Müller", "Müller"},
	} {
		if got := operate.Plain(tc.in); got != tc.want {
			t.Errorf("%q becomes %q, want %q", tc.in, got, tc.want)
		}
	}
}

// TestStatus asks those who run.
func TestStatus(t *testing.T) {
	const nobody = "no plexdns runs with that state folder"
	t.Run("nobody runs", func(t *testing.T) {
		h := newHouse(t)
		out, err := h.plexctl("status")
		if out != "" || !errors.Is(err, socket.ErrNone) || !strings.Contains(err.Error(), nobody) || command.Code(err) != 1 {
			t.Errorf("got %q, %v", out, err)
		}
	})
	t.Run("plexdns alone", func(t *testing.T) {
		h := newHouse(t)
		h.plexdns()
		out, err := h.plexctl("status")
		if err != nil || !strings.HasPrefix(out, "home.test: all is well") || !strings.Contains(out, "\nno plexproxy runs with that state folder") {
			t.Errorf("got %v\n%s", err, out)
		}
	})
	t.Run("both", func(t *testing.T) {
		h := newHouse(t)
		h.plexdns()
		h.plexproxy(plays("playing"))
		out, err := h.plexctl("status")
		for _, want := range []string{"(plexdns)\nhome.test: ", "(plexproxy)\n", "\nhome.test, plexproxy\n", "plex2"} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%q is missing: %v\n%s", want, err, out)
			}
		}
	})
	t.Run("plexdns was killed", func(t *testing.T) {
		h := newHouse(t)
		h.plexproxy()
		h.killed(socket.Plexdns)
		for _, words := range []string{"status", "status -check", "status -json"} {
			out, err := h.plexctl(words)
			if !errors.Is(err, socket.ErrKilled) || command.Code(err) == 0 || !strings.Contains(out, "home.test") {
				t.Errorf("%s: got %v\n%s", words, err, out)
			}
		}
	})
	t.Run("another zone", func(t *testing.T) {
		h := newHouse(t)
		h.plexdns()
		out, err := h.plexctl("status -zone x.test")
		if out != "" || err == nil || !strings.Contains(err.Error(), `there is no zone "x.test"`) {
			t.Errorf("got %q, %v", out, err)
		}
	})
	t.Run("a place that is named", func(t *testing.T) {
		h := newHouse(t)
		h.plexdns()
		for _, place := range []string{h.state, socket.Plexdns.Path(h.state)} {
			out, err := plexctl(t.Context(), "status", "-at", place)
			if err != nil || !strings.HasPrefix(out, "home.test: all is well") {
				t.Errorf("%s: got %v\n%s", place, err, out)
			}
		}
		if _, err := plexctl(t.Context(), "status", "-at", h.dir); !errors.Is(err, socket.ErrNone) {
			t.Errorf("a folder without a socket: %v", err)
		}
		if _, err := plexctl(t.Context(), "status", "-at", "http://127.0.0.1:8053/x"); err == nil || !strings.Contains(err.Error(), "no address of a status page") {
			t.Errorf("a page of it: %v", err)
		}
	})
}

// TestCheck: not all is well is an exit code of its own.
func TestCheck(t *testing.T) {
	h := newHouse(t)
	i := h.plexdns()
	if _, err := h.plexctl("status -check"); err != nil {
		t.Errorf("while all is well: %v", err)
	}
	i.mu.Lock()
	i.dns.Clusters[0].Nodes[0].State = "down"
	i.mu.Unlock()
	if out, err := h.plexctl("status -check"); command.Code(err) != 3 || !strings.HasPrefix(out, "home.test: plex1 is down") {
		t.Errorf("with a node down: %v\n%s", err, out)
	}
	if _, err := h.plexctl("status"); err != nil {
		t.Errorf("without -check: %v", err)
	}
}

func TestStatusJSON(t *testing.T) {
	h := newHouse(t)
	h.plexdns()
	out, err := h.plexctl("status -json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version   int
		Instances []struct {
			Place  string
			Status struct{ Plexdns string }
			Error  string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || len(got.Instances) != 2 || got.Instances[0].Status.Plexdns != "1.2.3" ||
		got.Instances[0].Place != socket.Plexdns.Path(h.state) || got.Instances[1].Error == "" {
		t.Errorf("got %+v", got)
	}
}

func TestArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"status now":                   `reading the arguments: unexpected "now": see plexctl status -h`,
		"status -watch -json":          "reading the arguments: -watch goes with neither -json nor -check: see plexctl status -h",
		"drain":                        "reading the arguments: want the name of one node, and there are 0: see plexctl drain -h",
		"drain plex1 plex2":            "reading the arguments: want the name of one node, and there are 2: see plexctl drain -h",
		"drain plex1 -timeout 1m":      "reading the arguments: -timeout goes with -wait: see plexctl drain -h",
		"drain plex1 -for -1h":         "reading the arguments: a duration below 0 has ended already: see plexctl drain -h",
		"undrain plex1 -for 1h":        "reading the arguments: flag provided but not defined: -for: see plexctl undrain -h",
		"order plex1":                  "reading the arguments: want a name and up, drain, down or none: see plexctl order -h",
		"order plex1 dwon":             `reading the arguments: unknown order "dwon": want up, drain, down or none: see plexctl order -h`,
		"order plex1 none -for 1h":     "reading the arguments: taking an order back has neither an end nor a reason: leave out -for and -why: see plexctl order -h",
		"events -n -1":                 "reading the arguments: -n -1: want 0 or more: see plexctl events -h",
		"events now":                   `reading the arguments: unexpected "now": see plexctl events -h`,
		"drain plex1 -conf none":       "reading the Corefile: open none: no such file or directory",
		"status -at nowhere":           "there is no nowhere: want a socket, a state folder or http://HOST:PORT",
		"drain plex1 -at nowhere":      "there is no nowhere: want a socket, a state folder or http://HOST:PORT",
		"drain plex1 -wait -at /dev/x": "there is no /dev/x: want a socket, a state folder or http://HOST:PORT",
	} {
		t.Run(args, func(t *testing.T) {
			out, err := plexctl(t.Context(), strings.Fields(args)...)
			if out != "" || err == nil || err.Error() != want {
				t.Errorf("got %q, %v, want %s", out, err, want)
			}
		})
	}
}

// TestScroll shows what is another text than before, and when.
func TestScroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		show := operate.Scroll(&out)
		for _, text := range []string{"one\n", "one\n", "two\n"} {
			if err := show(text); err != nil {
				t.Fatal(err)
			}
		}
		got := strings.Split(out.String(), "\n")
		want := []string{got[0], "one", "", strings.Repeat("-", 19), got[0], "two", ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestScreen: what does not fit on a terminal is left out, and said.
func TestScreen(t *testing.T) {
	var out strings.Builder
	if err := operate.Screen(&out, 10, 3)("one\n\x1b[32mtwo that is long\x1b[0m\nthree\nfour\n"); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if !strings.HasPrefix(got, "\x1b[Hone\x1b[K\r\n\x1b[32mtwo that i\x1b[0m\x1b[K\r\n") || !strings.HasSuffix(got, "\x1b[K\x1b[J") ||
		strings.Count(got, "\n") != 2 || strings.Contains(got, "three") {
		t.Errorf("got %q", got)
	}
}

func TestCut(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"", ""},
		{"abc", "abc"},
		{"abcdef", "abcd"},
		{"ääääää", "ääää"},
		{"\x1b[1;31mab\x1b[0mcdef", "\x1b[1;31mab\x1b[0mcd"},
		{"abcd\x1b[0m", "abcd\x1b[0m"},
		{"\x1b[without end", "\x1b[wi"},
	} {
		if got := operate.Cut(tc.line, 4); got != tc.want {
			t.Errorf("%q becomes %q, want %q", tc.line, got, tc.want)
		}
	}
}

// FuzzText: whatever others say, one line of printable characters is shown, and no more of it than fits.
func FuzzText(f *testing.F) {
	f.Add("connection refused", 10)
	f.Add("\x1b[31mred\x1b[0m\r\n\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		said := operate.Plain(text)
		if strings.ContainsFunc(said, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) || !utf8.ValidString(said) {
			t.Errorf("%q is shown as %q", text, said)
		}
		width = max(0, width)
		if got := operate.Cut(said, width); utf8.RuneCountInString(got) > width || !strings.HasPrefix(said, got) {
			t.Errorf("%q is cut to %q, want %d characters of it", said, got, width)
		}
		operate.Cut(text, width) // ends
	})
}
