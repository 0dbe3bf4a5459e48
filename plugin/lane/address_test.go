package lane_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/lane"
)

// A lane that packets go past looks for its sockets at once, then ever more seldom, and says it once.
func TestLaneLooksForItsSocketsEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		plan := quiet(newBlock(t, "192.0.2.1"))
		plan.Info = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		k, err := lane.OpenKept(plan, server(t, &words{say: "chain"}))
		if err != nil {
			t.Fatal(err)
		}
		defer k.End()
		stray := k.Decorator()
		began := time.Now()
		var looks []time.Duration // when it has looked
		seen := int64(1)
		look := func(within time.Duration) {
			for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				stray(nil)
				synctest.Wait()
				if now := k.Looks.Load(); now > seen {
					seen = now
					looks = append(looks, time.Since(began).Round(time.Second))
				}
			}
		}
		synctest.Wait()
		if got := k.Looks.Load(); got != 1 {
			t.Fatalf("led %d times, want once", got)
		}
		look(16 * time.Second)
		if diff := cmp.Diff(looks, []time.Duration{
			1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second,
		}); diff != "" {
			t.Errorf("looks (-got +want):\n%s", diff)
		}
		time.Sleep(2 * lane.HealTimeMost) // nothing goes astray
		began, looks = time.Now(), nil
		look(4 * time.Second)
		if diff := cmp.Diff(looks, []time.Duration{0, 1 * time.Second, 3 * time.Second}); diff != "" {
			t.Errorf("looks after a while without strays (-got +want):\n%s", diff)
		}
		want := "packets go past the fast lane at dns://:53, and where its sockets are cannot be told: CoreDNS answers those"
		if diff := cmp.Diff(said, []string{want}); diff != "" {
			t.Errorf("said (-got +want):\n%s", diff)
		}
	})
}

// Strays of the first second were on their way when the lane was opened.
func TestStraysAtFirstAreNoReasonToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, err := lane.OpenKept(quiet(newBlock(t, "192.0.2.1")), server(t, &words{say: "chain"}))
		if err != nil {
			t.Fatal(err)
		}
		defer k.End()
		k.Decorator()(nil)
		time.Sleep(lane.SettleTime / 2)
		k.Decorator()(nil)
		time.Sleep(time.Hour)
		if got := k.Looks.Load(); got != 1 {
			t.Errorf("led %d times, want once", got)
		}
	})
}

func TestLaneLooksForItsSocketsAfterAReloadAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, err := lane.OpenKept(quiet(newBlock(t, "192.0.2.1")), server(t, &words{say: "chain"}))
		if err != nil {
			t.Fatal(err)
		}
		defer k.End()
		for _, sockets := range []int{3, 1, 2} {
			time.Sleep(time.Hour)
			if err := k.Resize(sockets); err != nil {
				t.Fatal(err)
			}
			led := k.Looks.Load()
			time.Sleep(2 * lane.SettleTime)
			k.Decorator()(nil)
			synctest.Wait()
			if got := k.Looks.Load(); got != led+1 {
				t.Errorf("%d sockets: looked %d times, want once", sockets, got-led)
			}
		}
	})
}

// Sockets that a reload takes away are closed though the system refuses to lead packets.
func TestSocketsAreClosedThoughNothingIsLed(t *testing.T) {
	for calls := range 3 {
		synctest.Test(t, func(t *testing.T) {
			k, err := lane.OpenKept(quiet(newBlock(t, "192.0.2.1")), server(t, &words{say: "chain"}))
			if err != nil {
				t.Fatal(err)
			}
			defer k.End() // does not wait for sockets that the lane does not know: the test fails over what is left
			if err := k.Resize(3); err != nil {
				t.Fatal(err)
			}
			k.Grants.Store(int64(calls) + 1)
			if err := k.Resize(1); !errors.Is(err, os.ErrPermission) {
				t.Errorf("call %d refused: %v", calls+1, err)
			}
		})
	}
}
