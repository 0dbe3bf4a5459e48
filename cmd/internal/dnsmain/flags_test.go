package dnsmain_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/dnsmain"
)

// TestAllFlagsAreDescribed: those that CoreDNS's packages register are those that the help and the man page have.
func TestAllFlagsAreDescribed(t *testing.T) {
	var want, got []string
	flag.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") && f.Name != "update" {
			want = append(want, f.Name)
		}
	})
	dnsmain.Program().Flags.VisitAll(func(f *flag.Flag) { got = append(got, f.Name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-CoreDNS +ours):\n%s", diff)
	}
}

// TestHelp is what -help prints.
func TestHelp(t *testing.T) {
	var out, errs strings.Builder
	if code := dnsmain.Main([]string{"-help"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Errorf("exit code %d, and %q on the standard error", code, errs.String())
	}
	for _, want := range []string{"usage: plexdns [-conf FILE] [-dns.port PORT]", "\n  -quiet              do not print versions at the start\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
