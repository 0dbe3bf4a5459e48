package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/zones"
)

// TestOrdersFile writes the orders file in many ways, one after the other, and looks at the log and at the
// order on plex1.
func TestOrdersFile(t *testing.T) {
	logs(t, with(twoNodes, "nodes found tasks.plex.test"), func(h *logged) {
		h.up()
		folder := t.TempDir()
		name := filepath.Join(folder, "home.duckdns.org.orders")
		const bad = `line 1: unknown order "dwon": want up, drain or down: the last good ones stay in force`
		for _, step := range []struct {
			what    string
			content string
			want    []string
			order   zones.Order
		}{
			{"no file", "", nil, zones.NoOrder},
			{"a good one", "plex1 drain", nil, zones.OrderDrain},
			{"a bad one", "plex1 dwon", []string{"[ERROR] reading the orders in NAME: " + bad}, zones.OrderDrain},
			{"bad still", "plex1 dwon ", []string{"[ERROR] reading the orders in NAME: " + bad}, zones.OrderDrain},
			{
				"mended", "plex1 down",
				[]string{"[INFO] reading the orders in NAME: nothing is wrong any more"},
				zones.OrderDown,
			},
			{"good still", "plex1 up", nil, zones.OrderUp},
			{
				"of nobody", "plex1 up\nplex7 down",
				[]string{`[WARNING] reading the orders in NAME: there is no node, proxy or uplink "plex7"`},
				zones.OrderUp,
			},
			{"of a node that may be found yet", "plex1 up\nfound2 down", nil, zones.OrderUp},
			{"bad again", "plex1 dwon", []string{"[ERROR] reading the orders in NAME: " + bad}, zones.OrderUp},
			{
				"removed", "",
				[]string{"[INFO] reading the orders in NAME: nothing is wrong any more"},
				zones.NoOrder,
			},
		} {
			if step.content == "" {
				_ = os.Remove(name) // the first time there is none
			} else {
				file(t, folder, filepath.Base(name), step.content)
			}
			h.ReadOrders(folder)
			for i := range step.want {
				step.want[i] = strings.ReplaceAll(step.want[i], "NAME", name)
			}
			h.wrote(step.want...)
			if got := h.board.Snapshot().Node("plex1").Order; got != step.order {
				t.Errorf("%s: the order on plex1 is %s, want %s", step.what, got, step.order)
			}
		}
	})
}

func TestOrdersFileThatCannotBeRead(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		folder := t.TempDir()
		name := filepath.Join(folder, "home.duckdns.org.orders")
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		h.ReadOrders(folder)
		h.wrote("[ERROR] reading the orders: " + name + " is no regular file: the last good ones stay in force")
	})
}

func TestNoStateFolderNoOrders(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.ReadOrders("")
		h.wrote()
	})
}
