package probe_test

import (
	"testing"

	"plexha/plugin/probe"
)

const machineID = "9c1f8e3a5b7d2046a1c3e5f708192a3b4c5d6e7f"

func TestIdentity(t *testing.T) {
	for _, tc := range []struct {
		name, body, want string
	}{
		{"as Plex writes it", `<?xml version="1.0" encoding="UTF-8"?>
<MediaContainer size="0" claimed="1" machineIdentifier="` + machineID + `" version="1.43.3.10861-abc">
</MediaContainer>`, machineID},
		{"JSON", `{"MediaContainer":{"size":0,"claimed":true,"machineIdentifier":"` + machineID + `"}}`, machineID},
		{"after a byte order mark", "\ufeff<MediaContainer machineIdentifier='a'/>", "a"},
		{"with a body that is cut off after it", `<MediaContainer machineIdentifier="a"><Directory`, "a"},
		{"without an identity", `<MediaContainer size="0"/>`, ""},
		{"another root", `<html machineIdentifier="a"/>`, ""},
		{"not the root", `<html><MediaContainer machineIdentifier="a"/></html>`, ""},
		{"other JSON", `{"status":"ok"}`, ""},
		{"a login page", `<!DOCTYPE html><html><title>Login</title></html>`, ""},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := probe.ParseIdentity([]byte(tc.body))
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, tc.want)
			}
		})
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`<MediaContainer machineIdentifier="a"/>`))
	f.Add([]byte(`{"MediaContainer":{"machineIdentifier":"a"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		id, ok := probe.ParseIdentity(body)
		if ok != (id != "") {
			t.Errorf("%q, %v", id, ok)
		}
	})
}
