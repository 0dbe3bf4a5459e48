package runtime_test

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"

	"plexha/plugin/runtime"
)

func TestOneBlockSpeaksForTheInstance(t *testing.T) {
	var turn runtime.Turn
	for i, want := range []bool{false, true, true} {
		if got := turn.Taken(); got != want {
			t.Errorf("asked for the time %d: got %t, want %t", i+1, got, want)
		}
	}
}

func TestOneIsReplacedAtATime(t *testing.T) {
	var replaced, most atomic.Int64
	var restarts sync.WaitGroup
	for range 16 {
		restarts.Go(func() {
			var turn runtime.Turn
			turn.Taken()
			if err := turn.Begin(); err != nil {
				t.Error(err)
			}
			most.Store(max(most.Load(), replaced.Add(1)))
			for range 10 {
				goruntime.Gosched() // the others have the time to come
			}
			replaced.Add(-1)
			if err := turn.End(); err != nil {
				t.Error(err)
			}
		})
	}
	restarts.Wait()
	if got := most.Load(); got != 1 {
		t.Errorf("%d instances were being replaced at once, want 1", got)
	}
}

// TestEndWithoutBegin: an instance that ends has not always been replaced, and one whose turn it is not must not
// end another's.
func TestEndWithoutBegin(t *testing.T) {
	var mine, other runtime.Turn
	mine.Taken()
	other.Taken()
	end := func(turn *runtime.Turn) {
		t.Helper()
		if err := turn.End(); err != nil {
			t.Error(err)
		}
	}
	end(&mine)
	if err := mine.Begin(); err != nil {
		t.Fatal(err)
	}
	end(&other)
	begun := make(chan struct{})
	go func() {
		_ = other.Begin() // it always succeeds
		close(begun)
	}()
	for range 10 {
		goruntime.Gosched()
	}
	select {
	case <-begun:
		t.Error("one that was not replaced has ended another's turn")
	default:
	}
	end(&mine)
	end(&mine) // again is nothing
	<-begun
	end(&other)
}

// TestReplacedOnce: of two restarts of one instance that come together the second one must not begin.
func TestReplacedOnce(t *testing.T) {
	var turn runtime.Turn
	turn.Taken()
	if err := turn.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := turn.Over(); err != nil {
		t.Error(err)
	}
	if err := turn.Begin(); err == nil {
		t.Error("an instance that was replaced may be replaced again")
	}
	if err := turn.End(); err != nil { // as CoreDNS does when a restart has failed
		t.Error(err)
	}
	var next runtime.Turn
	next.Taken()
	if err := next.Begin(); err != nil {
		t.Errorf("the next instance: %v", err)
	}
	if err := next.End(); err != nil {
		t.Error(err)
	}
}
