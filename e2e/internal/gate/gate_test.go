package gate_test

import (
	"runtime"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// recorder is a testing.TB that notes how a test ended.
type recorder struct {
	testing.TB

	skipped, failed bool
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(...any) { r.skipped = true; runtime.Goexit() }

func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

func TestNeed(t *testing.T) {
	met := func() string { return "" }
	lacking := func() string { return "needs a moon" }
	tests := []struct {
		name            string
		env             string
		requirements    []gate.Requirement
		skipped, failed bool
	}{
		{"nothing needed", "", nil, false, false},
		{"all there", "", []gate.Requirement{met, met}, false, false},
		{"one lacks", "", []gate.Requirement{met, lacking}, true, false},
		{"one lacks, nothing may be skipped", "all", []gate.Requirement{met, lacking}, false, true},
		{"all there, nothing may be skipped", "all", []gate.Requirement{met}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PLEXHA_E2E", tt.env)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				gate.Need(r, tt.requirements...)
			}()
			<-done
			if r.skipped != tt.skipped || r.failed != tt.failed {
				t.Errorf("skipped %t, failed %t; want %t, %t", r.skipped, r.failed, tt.skipped, tt.failed)
			}
		})
	}
}

func TestTool(t *testing.T) {
	if got := gate.Tool("go")(); got != "" {
		t.Errorf("go: %q, want it found", got)
	}
	if got := gate.Tool("no-such-program")(); !strings.Contains(got, "no-such-program") {
		t.Errorf("got %q, want the program's name", got)
	}
}
