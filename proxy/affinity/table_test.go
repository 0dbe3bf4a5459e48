package affinity_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cespare/xxhash/v2"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// A full table forgets what was used least lately.
func TestTableIsBounded(t *testing.T) {
	const size = 300 // above what the first slots and buckets hold
	s := house(t, "plex1", "plex2")
	s.table = affinity.NewTable(size)
	client := func(i int) string { return as(fmt.Sprintf("client%d", i), "") }
	segment := func(i int) string { return fmt.Sprintf("GET /video/:/transcode/universal/session/s%d/0/1.m4s", i) }
	s.down("plex2")
	for i := range size {
		s.goes("plex1", root+client(i))
		s.answered("plex1", http.StatusOK, segment(i))
	}
	s.up("plex2")
	s.goes("plex1", library+client(0)) // used again: not the oldest any more
	s.place(segment(0))
	want := affinity.Sizes{Pins: size, Sessions: size}
	if got := s.table.Sizes(); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := size; i < 2*size-1; i++ {
		s.place(root + client(i))
		s.answered("plex2", http.StatusOK, segment(i))
	}
	if got := s.table.Sizes(); got != want {
		t.Errorf("%+v, want %+v still", got, want)
	}
	s.goes("plex1", library+client(0))
	if p := s.place(segment(0)); p.Node != "plex1" || p.By != affinity.BySession {
		t.Errorf("a session that was in use is forgotten: %+v", p)
	}
	for i := range size {
		if p := s.place(segment(i)); (p.By == affinity.BySession) != (i == 0) {
			t.Errorf("session %d: %+v", i, p)
		}
	}
	for i := size; i < 2*size-1; i++ {
		if p := s.place(segment(i)); p.Node != "plex2" || p.By != affinity.BySession {
			t.Errorf("session %d: %+v", i, p)
		}
	}
}

func TestPlacingAllocatesNothing(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	n := s.snapshot()
	known := affinity.Parse(request(t, "GET "+decision("c1", "t1", "s1")))
	met := s.place(root + as("c1", "t1")).Node
	s.goes(met, "GET "+decision("c1", "t1", "s1"))
	s.table.Save(new(bytes.Buffer))
	for name, do := range map[string]func(){
		"place": func() { s.table.Place(known, n, false, s.now) },
		"answered": func() {
			s.table.Answered(known, affinity.Placement{Node: met, By: affinity.ByClient}, met, 200, n, s.now)
		},
	} {
		if got := testing.AllocsPerRun(100, do); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
}

func TestTableServesManyAtOnce(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	s.table = affinity.NewTable(50)
	worse := s.snapshot()
	worse.All[0].Up, worse.All[0].New = false, false
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				id := fmt.Sprint((i*7 + j) % 100)
				for _, line := range recorded("id-plex2", "c"+id, "t"+id, "s"+id) {
					n := s.snapshot()
					if j%3 == 0 {
						n = worse
					}
					k := affinity.Parse(request(t, line))
					p := s.table.Place(k, n, false, s.now)
					s.table.Answered(k, p, p.Node, http.StatusOK, n, s.now)
				}
			}
			_ = s.table.Save(new(bytes.Buffer))
			s.table.Sizes()
		})
	}
	wg.Wait()
	if got := s.table.Sizes(); got.Pins != 50 || got.Sessions != 50 {
		t.Errorf("%+v", got)
	}
}

// A clock that is put back ends nothing.
func TestClockPutBack(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex1"), "")
	s.down("plex1")
	s.goes("plex2", root+c)
	s.goes("plex2", timeline+c)
	s.up("plex1")
	s.wait(-24 * time.Hour)
	s.goes("plex2", root+c)
	s.goes("plex2", "GET /library?uri=server://id-plex2/x&"+c)
}

// rich is a scene whose table has something of everything, and what is placed where.
func rich(t *testing.T) (s *scene, want map[string]affinity.Placement) {
	s = house(t, "plex1", "plex2", "plex3")
	c1, c2, c3 := s.key("plex1"), s.key("plex2"), s.key("plex3")
	for _, c := range []string{c1, c2, c3} {
		met := s.place(root + as(c, c)).Node
		for _, line := range recorded("id-"+string(met), c, c, "session-of-"+c) {
			s.goes(met, line)
		}
	}
	s.goes("plex2", timeline+as(c2, ""))
	s.down("plex3")
	s.place(library + as(c3, c3)) // it is not told
	want = map[string]affinity.Placement{}
	for _, c := range []string{c1, c2, c3} {
		for _, line := range []string{
			library + as(c, c), timeline + as(c, ""), photo + as("", c), root + as(c, c),
			"GET /video/:/transcode/universal/session/session-of-" + c + "/0/1.m4s",
			"POST /playQueues?uri=server://id-plex1/x&" + as(c2, ""), // which plays elsewhere
		} {
			want[line] = s.place(line)
		}
	}
	return s, want
}

func TestSavedPinsComeBack(t *testing.T) {
	s, want := rich(t)
	var file bytes.Buffer
	if err := s.table.Save(&file); err != nil {
		t.Fatal(err)
	}
	sizes := s.table.Sizes()
	saved := bytes.Clone(file.Bytes())
	s.table = affinity.NewTable(1000)
	s.place(root + as("another", "")) // is forgotten
	if err := s.table.Load(&file); err != nil {
		t.Fatal(err)
	}
	if got := s.table.Sizes(); got != sizes {
		t.Errorf("%+v loaded, want %+v", got, sizes)
	}
	var again bytes.Buffer
	if err := s.table.Save(&again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), saved) {
		t.Error("what was loaded is saved otherwise")
	}
	for line, want := range want {
		if got := s.place(line); got != want {
			t.Errorf("%s: %+v, was %+v", line, got, want)
		}
	}
	s.up("plex3")
	s.wait(time.Hour)
	s.goes("plex3", root+as(s.key("plex3"), "")) // home has come back, too
}

// A smaller table takes the entries that were used last.
func TestLoadIntoSmallerTable(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.down("plex2")
	for i := range 100 {
		s.goes("plex1", root+as(fmt.Sprintf("client%d", i), ""))
	}
	s.up("plex2")
	var file bytes.Buffer
	if err := s.table.Save(&file); err != nil {
		t.Fatal(err)
	}
	s.table = affinity.NewTable(10)
	if err := s.table.Load(&file); err != nil {
		t.Fatal(err)
	}
	for i := 90; i < 100; i++ {
		s.goes("plex1", library+as(fmt.Sprintf("client%d", i), ""))
	}
	if got := s.table.Sizes(); got.Pins != 10 {
		t.Errorf("%+v, want 10 pins", got)
	}
}

func TestSavedPinsHoldNoKeys(t *testing.T) {
	s := house(t, "plex1")
	secrets := []string{"secret-client", "secret-token", "secret-session"}
	for _, line := range recorded("id-plex1", secrets[0], secrets[1], secrets[2]) {
		s.goes("plex1", line)
	}
	var one, other bytes.Buffer
	if err := s.table.Save(&one); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if strings.Contains(one.String(), secret) {
			t.Errorf("%q is saved", secret)
		}
	}
	s.table = affinity.NewTable(1000)
	for _, line := range recorded("id-plex1", secrets[0], secrets[1], secrets[2]) {
		s.goes("plex1", line)
	}
	if err := s.table.Save(&other); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one.Bytes(), other.Bytes()) {
		t.Error("two tables share their secret")
	}
}

func TestUsesGrowWithWhatIsLearned(t *testing.T) {
	s := house(t, "plex1", "plex2")
	before := s.table.Uses()
	s.place("GET /library")
	s.place("GET /web/index.html")
	if got := s.table.Uses(); got != before {
		t.Errorf("%d uses by requests that are bound to nothing, want %d", got, before)
	}
	for _, line := range []string{root + as("c1", ""), root + as("c1", ""), "GET /library?uri=server://id-plex1/x&" + as("c1", "")} {
		before = s.table.Uses()
		s.place(line)
		if got := s.table.Uses(); got == before {
			t.Errorf("%d uses after %s, want more", got, line)
		}
	}
	s.answered("plex1", http.StatusOK, segment1)
	before = s.table.Uses()
	s.place(segment1)
	if got := s.table.Uses(); got == before {
		t.Errorf("%d uses after a known session was used, want more", got)
	}
	before = s.table.Uses()
	s.answered("plex1", http.StatusOK, "GET /video/:/transcode/universal/session/s2/0/1.m4s")
	if got := s.table.Uses(); got == before {
		t.Errorf("%d uses after a session was learned, want more", got)
	}
}

// A file with any byte changed, missing or added is an error, and leaves the table as it is.
func TestDamagedFileIsAnError(t *testing.T) {
	s, _ := rich(t)
	var file bytes.Buffer
	if err := s.table.Save(&file); err != nil {
		t.Fatal(err)
	}
	refuses := func(what string, b []byte) {
		t.Helper()
		table := affinity.NewTable(1000)
		if err := table.Load(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: no error", what)
		}
		if got := table.Sizes(); got != (affinity.Sizes{}) {
			t.Errorf("%s: %+v, want an empty table", what, got)
		}
	}
	good := file.Bytes()
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x40
		refuses(fmt.Sprintf("byte %d of %d changed", i, len(good)), b)
		refuses(fmt.Sprintf("cut at %d of %d", i, len(good)), good[:i])
	}
	refuses("a byte too many", append(bytes.Clone(good), 0))

	before := s.table.Sizes()
	if err := s.table.Load(strings.NewReader("rubbish")); err == nil || !strings.HasPrefix(err.Error(), "loading the pins: ") {
		t.Errorf("error %v", err)
	}
	if got := s.table.Sizes(); got != before {
		t.Errorf("%+v after a failed load, want %+v still", got, before)
	}
}

// What a sum that is right cannot excuse: somebody may have written the file by hand.
func TestForgedFileIsAnError(t *testing.T) {
	names := func(names ...string) []byte {
		b := append([]byte("plexha pins 1\n"), make([]byte, 8)...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(names)))
		for _, name := range names {
			b = append(append(b, byte(len(name))), name...)
		}
		return b
	}
	none := make([]byte, 4)
	one := []byte{1, 0, 0, 0}
	pinAt := func(node, home, was byte) []byte {
		return append(slices.Concat(one, make([]byte, 16)), node, 0, home, 0, was, 0, 0)
	}
	sessionAt := func(node byte) []byte { return append(slices.Concat(one, make([]byte, 20)), node, 0) }
	for name, tt := range map[string]struct {
		file []byte
		good bool
	}{
		"nothing learned":         {slices.Concat(names("plex1"), none, none), true},
		"a pin and a session":     {slices.Concat(names("plex1"), pinAt(1, 1, 0), sessionAt(1)), true},
		"a pin's node":            {slices.Concat(names("plex1"), pinAt(2, 1, 0), none), false},
		"a pin's home":            {slices.Concat(names("plex1"), pinAt(1, 2, 0), none), false},
		"where a pin was":         {slices.Concat(names("plex1"), pinAt(1, 1, 2), none), false},
		"a session's node":        {slices.Concat(names("plex1"), none, sessionAt(2)), false},
		"a name twice":            {slices.Concat(names("plex1", "plex1"), none, none), false},
		"an empty name":           {slices.Concat(names(""), none, none), false},
		"a name that is too long": {slices.Concat(names(strings.Repeat("x", 64)), none, none), false},
		"a name that just fits":   {slices.Concat(names(strings.Repeat("x", 63)), none, none), true},
		"more pins than there":    {slices.Concat(names("plex1"), []byte{255, 255, 255, 255}, none), false},
	} {
		t.Run(name, func(t *testing.T) {
			file := binary.LittleEndian.AppendUint64(tt.file, xxhash.Sum64(tt.file))
			if err := affinity.NewTable(10).Load(bytes.NewReader(file)); (err == nil) != tt.good {
				t.Errorf("error %v, want none: %v", err, tt.good)
			}
		})
	}
}

func TestErrorsOfFilesAreTold(t *testing.T) {
	broken := errors.New("the disk is on fire")
	table := affinity.NewTable(10)
	if err := table.Load(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("loading: %v", err)
	}
	if err := table.Save(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("saving: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// FuzzLoad reads whatever comes, with a sum that is right. No panic, and a table that works and can be saved.
func FuzzLoad(f *testing.F) {
	table := affinity.NewTable(10)
	n := &affinity.Nodes{All: []affinity.Node{{Name: "plex1", Weight: 1, Up: true, New: true}}}
	now := time.Unix(1_800_000_000, 0)
	for _, line := range recorded("", "c1", "t1", "s1") {
		k := affinity.Parse(request(f, line))
		table.Answered(k, table.Place(k, n, false, now), "plex1", http.StatusOK, n, now)
	}
	var file bytes.Buffer
	if err := table.Save(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes()[:file.Len()-8])
	f.Add([]byte("plexha pins 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := affinity.NewTable(10)
		if err := table.Load(bytes.NewReader(binary.LittleEndian.AppendUint64(bytes.Clone(b), xxhash.Sum64(b)))); err != nil {
			if got := table.Sizes(); got != (affinity.Sizes{}) {
				t.Errorf("%+v after %v", got, err)
			}
			return
		}
		for _, line := range recorded("", "c1", "t1", "s1") {
			k := affinity.Parse(request(t, line))
			if p := table.Place(k, n, false, now); p.Node != "" && p.Node != "plex1" {
				t.Errorf("%s goes to %q", line, p.Node)
			}
		}
		var first, second bytes.Buffer
		if err := table.Save(&first); err != nil {
			t.Fatal(err)
		}
		again := affinity.NewTable(10)
		if err := again.Load(bytes.NewReader(first.Bytes())); err != nil {
			t.Fatal(err)
		}
		if err := again.Save(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("saved again it differs, or fails: %v", err)
		}
	})
}

// More names of nodes than a table can number make no pin, and no harm.
func TestTooManyNames(t *testing.T) {
	s := house(t, "plex1")
	for i := range 1<<16 + 10 {
		name := zones.NodeName(fmt.Sprintf("node%d", i))
		n := &affinity.Nodes{All: []affinity.Node{{Name: name, Weight: 1, Up: true, New: true}}}
		s.table.Place(affinity.Parse(request(t, root+as("c1", ""))), n, false, s.now)
	}
	var file bytes.Buffer
	if err := s.table.Save(&file); err != nil {
		t.Fatal(err)
	}
	if err := s.table.Load(&file); err != nil {
		t.Fatal(err)
	}
}

// What one table keeps of a token is of no use to who has another's file: keys are hashed with a secret of the
// table.
func TestKeysAreHashedWithASecret(t *testing.T) {
	s := house(t, "plex1")
	other := s.otherProxy()
	s.place(root + as("", "t1"))
	other.place(root + as("", "t1"))
	var one, two bytes.Buffer
	if err := errors.Join(s.table.Save(&one), other.table.Save(&two)); err != nil {
		t.Fatal(err)
	}
	const secret = len("plexha pins 1\n") + 8
	rest := func(b []byte) []byte { return b[secret : len(b)-8] } // without the checksum
	if bytes.Equal(rest(one.Bytes()), rest(two.Bytes())) {
		t.Error("two tables keep the same of one token")
	}
}
