package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Remote steers a stand-in in another process, and reads its journal. Its requests are not in the journal, and
// are answered in every mode.
type Remote struct {
	Base string // a URL without a path
	HTTP *http.Client
}

// newControl returns what answers a [Remote].
func (p *Plex) newControl() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /-/journal", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(p.Journal()) // the asker may be gone
	})
	m.HandleFunc("DELETE /-/journal", func(http.ResponseWriter, *http.Request) { p.Forget() })
	m.HandleFunc("GET /-/listeners", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(p.Listeners()) // as above
	})
	m.HandleFunc("PUT /-/mode", func(w http.ResponseWriter, r *http.Request) { set(w, r, p.SetMode) })
	m.HandleFunc("PUT /-/identity", func(w http.ResponseWriter, r *http.Request) { set(w, r, p.SetIdentity) })
	m.HandleFunc("PUT /-/faults", func(w http.ResponseWriter, r *http.Request) {
		set(w, r, func(faults []Fault) { p.SetFaults(faults...) })
	})
	return m
}

// set calls f with what the request carries.
func set[T any](w http.ResponseWriter, r *http.Request, f func(T)) {
	var v T
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f(v)
}

// Journal is [Plex.Journal].
func (r Remote) Journal(ctx context.Context) ([]Request, error) {
	var requests []Request
	err := r.do(ctx, http.MethodGet, "journal", nil, &requests)
	return requests, err
}

// Listeners is [Plex.Listeners].
func (r Remote) Listeners(ctx context.Context) (int, error) {
	var n int
	err := r.do(ctx, http.MethodGet, "listeners", nil, &n)
	return n, err
}

// Forget is [Plex.Forget].
func (r Remote) Forget(ctx context.Context) error {
	return r.do(ctx, http.MethodDelete, "journal", nil, nil)
}

// SetMode is [Plex.SetMode].
func (r Remote) SetMode(ctx context.Context, m Mode) error {
	return r.do(ctx, http.MethodPut, "mode", m, nil)
}

// SetIdentity is [Plex.SetIdentity].
func (r Remote) SetIdentity(ctx context.Context, identity string) error {
	return r.do(ctx, http.MethodPut, "identity", identity, nil)
}

// SetFaults is [Plex.SetFaults].
func (r Remote) SetFaults(ctx context.Context, faults ...Fault) error {
	return r.do(ctx, http.MethodPut, "faults", faults, nil)
}

func (r Remote) do(ctx context.Context, method, what string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, r.Base+"/-/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // whatever there is of it
		return fmt.Errorf("%s %s of a stand-in: %s: %s", method, what, resp.Status, bytes.TrimSpace(reason))
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reading a stand-in's %s: %w", what, err)
	}
	return nil
}
