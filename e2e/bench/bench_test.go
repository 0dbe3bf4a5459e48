package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// file writes a file of a test and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTablePairsTheSamplesOfARound(t *testing.T) {
	samples := file(t, strings.Join([]string{
		"load\t1 KB\t0\tplexproxy\t1000\t1000000\t50000\t900",
		"load\t1 KB\t0\tcaddy\t500\t1000000\t50000\t2000",
		"load\t1 KB\t1\tplexproxy\t1000\t2000000\t400000\t900",
		"load\t1 KB\t1\tcaddy\t500\t2000000\t200000\t2000", // a busy moment, for both alike
		"memory\topen\t0\tplexproxy\t10\t100\t500",
		"",
	}, "\n"))
	var out strings.Builder
	if err := run(t.Context(), []string{"table", samples}, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	want := []string{
		"1 KB         requests/s     CPU a request     p99                  CPU x caddy       CPU x haproxy  requests/s x haproxy",
		"  plexproxy  750 (625-875)  225 us (138-312)  900 us (900-900)     0.75 (0.62-0.88)  -              -",
		"  caddy      375 (312-438)  250 us (175-325)  2.00 ms (2.00-2.00)  1                 -              -",
		"",
		"open         a stream  x caddy  x haproxy  before them",
		"  plexproxy  40.0 KiB  -        -          100.0 KiB",
		"",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the table (-got +want):\n%s", diff)
	}
}

func TestTableOfCopies(t *testing.T) {
	samples := file(t, strings.Join([]string{
		"share\t9 files\t0\tshare\t9\t6000000\t6100000\t5000000\t51200",
		"share\t9 files\t0\tcp\t9\t5000000\t6100000\t4000000\t10240",
		"",
	}, "\n"))
	var out strings.Builder
	if err := run(t.Context(), []string{"table", samples}, &out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"9 files  until it ends  until on the disk  x cp  on the disk x cp  CPU     memory",
		"  share  6.00 s         6.10 s             1.20  1.00              5.00 s  50.0 MiB",
		"  cp     5.00 s         6.10 s             1     1                 4.00 s  10.0 MiB",
		"",
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the table (-got +want):\n%s", diff)
	}
}

// TestRanTellsWhatACopyCosts: its own time, and that until it is on the disk, which is no less.
func TestRanTellsWhatACopyCosts(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "Metadata"), t.TempDir()
	if err := run(t.Context(), []string{"library", "-files", "25", from}, io.Discard); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"ran", "-sync", to, "cp", "-a", from, to}, &out); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(to, "Metadata", "Movies", "*", "*.bundle", "Contents", "_stored", "*"))
	if err != nil || len(names) != 25 {
		t.Errorf("%d files are copied, %v, want 25", len(names), err)
	}
	var took, onDisk, cpu, memory int64
	if _, err := fmt.Sscan(out.String(), &took, &onDisk, &cpu, &memory); err != nil || took < 1 || onDisk < took || memory < 100 {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := run(t.Context(), []string{"ran", "false"}, io.Discard); err == nil {
		t.Error("no error for a command that fails")
	}
}

func TestTableRefusesWhatIsNoSample(t *testing.T) {
	for _, line := range []string{
		"load\t1 KB\t0\tplexproxy\t1000\t1000000\t50000", // no p99
		"load\t1 KB\t0\tplexproxy\t0\t1000000\t50000\t900",
		"load\t1 KB\tfirst\tplexproxy\t1000\t1000000\t50000\t900",
		"speed\t1 KB\t0\tplexproxy\t1000\t1000000\t50000\t900",
	} {
		if err := run(t.Context(), []string{"table", file(t, line)}, io.Discard); err == nil {
			t.Errorf("no error for %q", line)
		}
	}
}

func TestCheckFindsWrongAnswers(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "12345")
	}))
	defer proxy.Close()
	tests := []struct {
		name, target, length string
		right                bool
	}{
		{"right", "/there", "5", true},
		{"too short", "/there", "6", false},
		{"too long", "/there", "4", false},
		{"of another status", "/missing", "5", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), []string{"check", "-length", tt.length, proxy.URL, file(t, tt.target)}, io.Discard)
			if (err == nil) != tt.right {
				t.Errorf("got %v", err)
			}
		})
	}
}

// told is a writer that ends what writes to it.
type told func()

func (end told) Write(p []byte) (int, error) {
	end()
	return len(p), nil
}

func TestHoldNoticesStreamsThatEnd(t *testing.T) {
	for name, lasts := range map[string]bool{"all last": true, "one ends": false} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "begun")
				_ = http.NewResponseController(w).Flush()
				if r.URL.Path == "/ends" {
					<-over
					return
				}
				<-r.Context().Done()
			}))
			defer proxy.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			target, end := "/lasts", told(cancel)
			if !lasts {
				target, end = "/ends", func() { close(over) }
			}
			err := run(ctx, []string{"hold", "-streams", "3", proxy.URL, file(t, target)}, end)
			if (err == nil) != lasts {
				t.Errorf("got %v", err)
			}
		})
	}
}
