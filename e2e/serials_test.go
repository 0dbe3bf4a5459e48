package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestSerialsOutliveACrash: a serial is written down when it is raised, not only when plexdns ends. After a SIGKILL
// the same records have the same serial, so that no secondary takes them for older ones, and none fetches them
// in vain.
func TestSerialsOutliveACrash(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "outside.zone")
	writeFile(t, file, boxAt(1))
	h := newHome(t, homeConfig{still: true, lines: []string{"zonefile external " + file}})
	first := h.serialOutside()
	writeFile(t, file, boxAt(2)) // no reload: one writes all serials down when it begins
	var raised uint32
	eventually(t, 10*time.Second, func() error {
		if raised = h.serialOutside(); raised == first {
			return fmt.Errorf("the serial is %d as before the change", raised)
		}
		return nil
	})
	eventually(t, 5*time.Second, func() error {
		if written := h.writtenSerial(); written != raised {
			return fmt.Errorf("serial %d is written, %d is served", written, raised)
		}
		return nil
	})
	h.dns.ends = true
	h.dns.proc.kill()
	// From here on a serial that was forgotten would be the time of the start.
	time.Sleep(time.Until(time.Unix(int64(raised)+2, 0)))
	h.dns.start()
	if got := h.serialOutside(); got != raised {
		t.Errorf("after the crash the serial is %d, want %d as before", got, raised)
	}
	writeFile(t, file, boxAt(3))
	eventually(t, 10*time.Second, func() error {
		if got := h.serialOutside(); got <= raised {
			return fmt.Errorf("after another change the serial is %d, want more than %d", got, raised)
		}
		return nil
	})
}

// serialOutside returns the SOA's serial in the external view.
func (h *home) serialOutside() uint32 {
	h.tb.Helper()
	m := h.dns.ask(outside, zone, dns.TypeSOA)
	if len(m.Answer) != 1 {
		h.tb.Fatalf("SOA: %v", m)
	}
	return m.Answer[0].(*dns.SOA).Serial
}

// writtenSerial returns that of the external view in the state folder, 0 if there is none.
func (h *home) writtenSerial() uint32 {
	h.tb.Helper()
	text, err := os.ReadFile(filepath.Join(h.dns.dir, "home.duckdns.org.serials"))
	if os.IsNotExist(err) {
		return 0
	}
	var file struct {
		Views map[string]struct{ Serial uint32 }
	}
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		h.tb.Fatal(err)
	}
	return file.Views["external"].Serial
}
