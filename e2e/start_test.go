package e2e_test

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStartsWithACorefileOnly: without one there is nothing to serve, and one line says so.
func TestStartsWithACorefileOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		says string
	}{
		{"none in the folder", nil, "plexdns: there is no Corefile: name one with -conf FILE\n"},
		{"a file that is missing", []string{"-conf", "nope"}, "plexdns: reading the Corefile: stat nope: no such file or directory\n"},
		{"an empty name", []string{"-conf", ""}, "plexdns: there is no Corefile: name one with -conf FILE\n"},
		{"words that are no flags", []string{"Corefile"}, "plexdns: reading the arguments: unexpected [\"Corefile\"]: want flags alone, see -help\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), programs.path(t, "plexdns"), tt.args...)
			cmd.Dir = t.TempDir()
			proc := startProcess(t, "", cmd)
			if code := exitCode(proc.wait(t, 20*time.Second)); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if diff := cmp.Diff(tt.says, proc.output.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlugins: -plugins lists what a Corefile may use, in the order in which a question meets it.
func TestPlugins(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), programs.path(t, "plexdns"), "-plugins").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	if i := slices.Index(got, "transfer"); i < 0 || i+1 == len(got) || got[i+1] != "plex" {
		t.Errorf("%v: want plex right behind transfer", got)
	}
	want := strings.Fields(`acl any auto bind bufsize cache cancel chaos debug dnssec errors file forward header health
		hosts https loadbalance log loop metadata minimal multisocket nsid plex pprof prometheus quic ready reload
		rewrite root secondary shed sign template timeouts tls transfer tsig view whoami`)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
}

// TestUnknownPlugin: one that CoreDNS has and we do not is refused by name.
func TestUnknownPlugin(t *testing.T) {
	t.Parallel()
	h := &home{tb: t, dns: newPlexdns(t)}
	h.dns.write(h.corefile(homeConfig{lines: []string{"node plex1 127.0.1.1:1"}, plugins: []string{"dnstap /x"}}))
	proc := startProcess(t, "", exec.CommandContext(t.Context(), programs.path(t, "plexdns"), "-conf", h.dns.file()))
	if code := exitCode(proc.wait(t, 20*time.Second)); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if proc.output.count("Unknown directive 'dnstap'") != 1 {
		t.Errorf("the output does not name it: %s", proc.output)
	}
}

// TestOtherSignalsDoNotHurryAStop: a supervisor that stops us may send more than SIGTERM at once.
func TestOtherSignalsDoNotHurryAStop(t *testing.T) {
	t.Parallel()
	p := newPlexdns(t)
	p.write((&home{dns: p}).corefile(homeConfig{lines: []string{"node plex1 127.0.1.1:1"}}))
	for range 10 {
		p.start()
		p.ends = true
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
			_ = p.proc.cmd.Process.Signal(sig) // it may have ended by now
		}
		if err := p.proc.wait(t, 20*time.Second); err != nil {
			t.Fatalf("it ended with %v, want code 0:\n%s", err, p.proc.output)
		}
	}
}
