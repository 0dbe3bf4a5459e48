package proxymain_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"plexha/cmd/internal/proxymain"
)

// TestWell: an answer of any kind is a sign of life, and no answer is none.
func TestWell(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/.plexha/ready" {
				t.Errorf("it asks %s", r.URL)
			}
			w.WriteHeader(code)
		}))
		at := netip.MustParseAddrPort(server.Listener.Addr().String())
		if err := proxymain.Well(t.Context(), at); err != nil {
			t.Errorf("%d: %v", code, err)
		}
		server.Close()
		if err := proxymain.Well(t.Context(), at); err == nil || !strings.HasPrefix(err.Error(), "asking ourselves: ") {
			t.Errorf("of one that has gone: got %v", err)
		}
	}
}
