package certs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"
	"go.uber.org/zap/zaptest/observer"

	"plexha/proxy/certs"
)

// account is a provider, and all that it knows outside.
type account struct {
	*certs.Provider

	domain string
	locks  *locks
	logs   *observer.ObservedLogs
}

// newAccount returns the provider of a domain whose calls are answered like that, and whose record shows at
// the name servers at once, whatever it is.
func newAccount(t *testing.T, as answer, more map[string]any) account {
	t.Helper()
	a := account{domain: duck.domain(t, as), locks: newLocks()}
	a.Provider, a.logs = another(t, a, more)
	return a
}

// another returns one more provider of an account.
func another(t *testing.T, a account, more map[string]any) (*certs.Provider, *observer.ObservedLogs) {
	t.Helper()
	config := map[string]any{
		"domain": a.domain, "token": tokenText, "hold": "1ns",
		"nameservers": []string{serveDNS(t, answerWith(
			"_acme-challenge."+a.domain+`.duckdns.org. 60 IN TXT "secret of the CA"`,
		))},
	}
	for k, v := range more {
		config[k] = v
		if v == nil {
			delete(config, k)
		}
	}
	p, err := load[*certs.Provider](newContext(t, a.locks), config)
	if err != nil {
		t.Fatal(err)
	}
	l, seen := logs()
	p.SetLogger(l)
	return p, seen
}

// record is a challenge as CertMagic hands it over.
var record = []libdns.Record{libdns.RR{Name: "_acme-challenge.home", Type: "TXT", Data: "secret of the CA"}}

func TestProviderSetsAndClears(t *testing.T) {
	a := newAccount(t, say("OK\nx\n\nUPDATED"), map[string]any{"hold": "1h"})
	got, err := a.AppendRecords(t.Context(), "duckdns.org.", record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record, got); diff != "" {
		t.Errorf("appended (-want +got):\n%s", diff)
	}
	if a.locks.free() {
		t.Error("the lock is free while the record is set")
	}
	if got, err = a.DeleteRecords(t.Context(), "duckdns.org.", record); err != nil || len(got) != 1 {
		t.Fatalf("deleted %v, %v; want the record", got, err)
	}
	if a.locks.free() {
		t.Error("the lock is free while resolvers may remember the record")
	}
	if diff := cmp.Diff([]string{"set secret of the CA", "clear"}, duck.changes(a.domain)); diff != "" {
		t.Errorf("DuckDNS was asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{tokenText, tokenText}, duck.tokens(a.domain)); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

// TestProviderLeavesOthersRecords: a record that is not this provider's own is another order's by now.
func TestProviderLeavesOthersRecords(t *testing.T) {
	a := newAccount(t, say("OK"), nil)
	if got, err := a.DeleteRecords(t.Context(), "duckdns.org.", record); err != nil || len(got) != 1 {
		t.Errorf("deleted %v, %v; want no error", got, err)
	}
	if got := duck.changes(a.domain); got != nil {
		t.Errorf("DuckDNS was asked: %v", got)
	}
}

func TestProviderRefusesOtherRecords(t *testing.T) {
	a := newAccount(t, say("OK"), nil)
	for name, records := range map[string][]libdns.Record{
		"none":      nil,
		"two":       {record[0], record[0]},
		"empty":     {libdns.RR{Name: "x", Type: "TXT"}},
		"addresses": {libdns.RR{Name: "x", Type: "A", Data: "192.0.2.1"}},
	} {
		if _, err := a.AppendRecords(t.Context(), "duckdns.org.", records); err == nil {
			t.Errorf("%s: appended", name)
		}
		if _, err := a.DeleteRecords(t.Context(), "duckdns.org.", records); err == nil {
			t.Errorf("%s: deleted", name)
		}
	}
	if got := duck.changes(a.domain); got != nil {
		t.Errorf("DuckDNS was asked: %v", got)
	}
}

// TestProviderErrors: an error says what is wrong, and the token is in no error and in no line of the log,
// whatever quotes it back.
func TestProviderErrors(t *testing.T) {
	tests := []struct {
		name string
		as   answer
		want string
	}{
		{"refused", say("KO"), "DuckDNS refused: wrong token or domain"},
		{"refused, verbose", say("KO\n\n\n"), "DuckDNS refused: wrong token or domain"},
		{
			"captive portal", func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "<html>Log in to go on to <a href=%q>your page</a></html>", r.URL)
			},
			"the answer is neither DuckDNS's OK nor its KO",
		},
		{"empty", say(""), "the answer is neither DuckDNS's OK nor its KO"},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{
			"redirected for ever", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, r.URL.String(), http.StatusFound)
			},
			"stopped after 10 redirects",
		},
		{
			"redirected to nowhere", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://"+tokenText+".example/", http.StatusFound)
			},
			"Forbidden",
		},
		{
			"body cut", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				_, _ = w.Write([]byte("OK"))
			},
			"DuckDNS unable to read response body: unexpected EOF",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccount(t, tt.as, nil)
			_, err := a.AppendRecords(t.Context(), "duckdns.org.", record)
			if err == nil {
				t.Fatal("no error")
			}
			want := "setting the TXT record of " + a.domain + ".duckdns.org: " + tt.want
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				hasNoToken(t, fmt.Sprintf("%+v %#v", e, e))
			}
			hasNoToken(t, strings.Join(messages(a.logs), "\n"))
			if !a.locks.free() {
				t.Error("the lock is still held")
			}
		})
	}
}

func hasNoToken(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, tokenText) {
		t.Errorf("the token shows in %q", text)
	}
}

func TestProviderHidesTokenInDumps(t *testing.T) {
	a := newAccount(t, say("OK"), nil)
	dump, err := json.Marshal(a.Provider)
	if err != nil {
		t.Fatal(err)
	}
	hasNoToken(t, string(dump))
	if !strings.Contains(string(dump), "[redacted]") {
		t.Errorf("%s: want the token redacted", dump)
	}
	hasNoToken(t, fmt.Sprintf("%v %+v %s %#v", a.Provider, a.Provider, a.Provider, a.Token))
	hasNoToken(t, fmt.Sprintf("%v %q %s %#v", a.Token, a.Token, a.Token.LogValue(), struct{ T any }{a.Token}))
	for _, verb := range "dtobcUeg" { // whoever mistakes the verb
		hasNoToken(t, fmt.Sprintf("%"+string(verb), a.Token))
	}
}

// TestProviderDeadline: a call that gets no answer ends, and so does one whose order has ended.
func TestProviderDeadline(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-duck.ended:
		}
	}
	t.Run("of the call", func(t *testing.T) {
		a := newAccount(t, hang, map[string]any{"timeout": "30ms"})
		_, err := a.AppendRecords(t.Context(), "duckdns.org.", record)
		if err == nil || !strings.HasSuffix(err.Error(), "duckdns.org: no answer within 30ms") {
			t.Errorf("error %v, want one that tells of 30ms", err)
		}
	})
	t.Run("of the order", func(t *testing.T) {
		a := newAccount(t, hang, nil)
		gone := errors.New("the configuration was replaced")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Millisecond, gone)
		defer cancel()
		if _, err := a.AppendRecords(ctx, "duckdns.org.", record); !errors.Is(err, gone) {
			t.Errorf("error %v, want %v", err, gone)
		}
		if !a.locks.free() {
			t.Error("the lock is still held")
		}
	})
}

func TestProviderTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	a := newAccount(t, say("OK"), map[string]any{"token": nil, "token_file": file})
	attempt := func() error {
		_, err := a.AppendRecords(t.Context(), "duckdns.org.", record)
		if err == nil {
			_, err = a.DeleteRecords(t.Context(), "duckdns.org.", record)
		}
		return err
	}
	if err := attempt(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: error %v, want one that names it", err)
	}
	put(t, file, []byte(`TOKEN="`+tokenText+`"`))
	err := attempt()
	if err == nil || !strings.Contains(err.Error(), file+": a name and = stand before the token") {
		t.Errorf("not a token: error %v, want one that names the file", err)
	}
	hasNoToken(t, fmt.Sprint(err))
	put(t, file, []byte("  "+tokenText+"\r\n"))
	if err := attempt(); err != nil {
		t.Error(err)
	}
	changed := strings.ToUpper(tokenText)
	put(t, file, []byte(changed))
	if err := attempt(); err != nil {
		t.Error(err)
	}
	want := []string{tokenText, tokenText, changed, changed}
	if diff := cmp.Diff(want, duck.tokens(a.domain)); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestProviderCredential(t *testing.T) {
	a := newAccount(t, say("OK"), map[string]any{"token": nil, "credential": "duckdns_token"})
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := a.AppendRecords(t.Context(), "duckdns.org.", record); err == nil || !strings.Contains(err.Error(), "LoadCredential=duckdns_token:") {
		t.Errorf("no directory: error %v, want one that says what to write into the unit", err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "duckdns_token"), []byte(tokenText))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if _, err := a.AppendRecords(t.Context(), "duckdns.org.", record); err != nil {
		t.Error(err)
	}
	if _, err := a.DeleteRecords(t.Context(), "duckdns.org.", record); err != nil {
		t.Error(err)
	}
}

func TestProviderValidate(t *testing.T) {
	tests := []struct {
		name   string
		config map[string]any
		want   string // of the error; empty: none
	}{
		{"token", map[string]any{"domain": "home", "token": tokenText}, ""},
		{"token file that is not there yet", map[string]any{"domain": "home", "token_file": "/nowhere"}, ""},
		{"no domain", map[string]any{"token": tokenText}, `domain ""`},
		{"domain with its ending", map[string]any{"domain": "home.duckdns.org", "token": tokenText}, "the one label before .duckdns.org"},
		{"several domains", map[string]any{"domain": "a,b", "token": tokenText}, `domain "a,b"`},
		{"credential that is not there yet", map[string]any{"domain": "home", "credential": "duckdns_token"}, ""},
		{"no token", map[string]any{"domain": "home"}, "want a token, a token_file or a credential"},
		{"token and file", map[string]any{"domain": "home", "token": tokenText, "token_file": "/x"}, "one of them only"},
		{"file and credential", map[string]any{"domain": "home", "credential": "x", "token_file": "/x"}, "one of them only"},
		{"token in quotes", map[string]any{"domain": "home", "token": "'" + tokenText + "'"}, "the token stands in quotes"},
		{"short token", map[string]any{"domain": "home", "token": tokenText[1:]}, "the token is not the 36 letters"},
		{"resolver by name", map[string]any{"domain": "home", "token": tokenText, "resolvers": []string{"dns.example:53"}}, "dns.example"},
		{"unknown field", map[string]any{"domain": "home", "tokn": tokenText}, "tokn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load[*certs.Provider](newContext(t, newLocks()), tt.config)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			hasNoToken(t, fmt.Sprint(err))
		})
	}
}

// TestTurns: the record of one order is cleared before the next one sets its own, over configurations.
func TestTurns(t *testing.T) {
	a := newAccount(t, say("OK"), nil)
	if _, err := a.AppendRecords(t.Context(), "duckdns.org.", record); err != nil {
		t.Fatal(err)
	}
	apex, _ := another(t, a, nil)
	set := make(chan error, 1)
	go func() {
		_, err := apex.AppendRecords(t.Context(), "duckdns.org.", record)
		set <- err
	}()
	if got := <-a.locks.waits; !strings.Contains(got, a.domain) {
		t.Errorf("lock %q, want the domain in its name", got)
	}
	if diff := cmp.Diff([]string{"set secret of the CA"}, duck.changes(a.domain)); diff != "" {
		t.Errorf("before the first is cleared (-want +got):\n%s", diff)
	}
	if _, err := a.DeleteRecords(t.Context(), "duckdns.org.", record); err != nil {
		t.Fatal(err)
	}
	if err := <-set; err != nil {
		t.Fatal(err)
	}
	if _, err := apex.DeleteRecords(t.Context(), "duckdns.org.", record); err != nil {
		t.Fatal(err)
	}
	want := []string{"set secret of the CA", "clear", "set secret of the CA", "clear"}
	if diff := cmp.Diff(want, duck.changes(a.domain)); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}

// TestTurnEnds: whoever waits gives up with the order, and an order that is never cleared up is not waited
// for beyond its time.
func TestTurnEnds(t *testing.T) {
	newPair := func(t *testing.T) (first, second *certs.Provider, seen *observer.ObservedLogs) {
		a := account{domain: duck.domain(t, say("OK")), locks: newLocks()}
		config := map[string]any{"domain": a.domain, "token": tokenText}
		for _, p := range []**certs.Provider{&first, &second} {
			var err error
			if *p, err = load[*certs.Provider](newContext(t, a.locks), config); err != nil {
				t.Fatal(err)
			}
			l := newTestLogger(*p)
			if seen == nil {
				seen = l
			}
		}
		return first, second, seen
	}
	t.Run("with the order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			first, second, _ := newPair(t)
			if err := first.Present(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			gone := errors.New("gone")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, gone)
			defer cancel()
			if err := second.Present(ctx, "two"); !errors.Is(err, gone) {
				t.Errorf("error %v, want %v", err, gone)
			}
			time.Sleep(certs.LongestTurn)
		})
	})
	t.Run("when the record is forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			first, second, _ := newPair(t)
			start := time.Now()
			if err := first.Present(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			first.End("one")
			if err := second.Present(t.Context(), "two"); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != time.Minute {
				t.Errorf("waited %s, want the minute that a record lives", got)
			}
			time.Sleep(certs.LongestTurn)
		})
	})
	t.Run("by its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			first, second, seen := newPair(t)
			start := time.Now()
			if err := first.Present(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			if err := second.Present(t.Context(), "two"); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != certs.LongestTurn {
				t.Errorf("waited %s, want %s", got, certs.LongestTurn)
			}
			want := []string{"warn: nobody has cleared DuckDNS's TXT record: the next order may overwrite it"}
			if diff := cmp.Diff(want, messages(seen)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			time.Sleep(certs.LongestTurn)
		})
	})
}

func newTestLogger(p *certs.Provider) *observer.ObservedLogs {
	l, seen := logs()
	p.SetLogger(l)
	return seen
}
