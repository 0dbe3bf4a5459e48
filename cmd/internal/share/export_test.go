package share

import (
	"context"
	"flag"
	"io"
	"time"
)

// RunOn runs a command on a system.
func RunOn(ctx context.Context, sys System, word string, args []string, out, errw io.Writer) error {
	return RunWith(ctx, sys, 0, 0, word, args, out, errw)
}

// RunWith runs a command on a system, with so many operations in a batch, and so many folders that are copied at once.
func RunWith(ctx context.Context, sys System, most, beside int, word string, args []string, out, errw io.Writer) error {
	switch word {
	case "plan":
		return runOn(ctx, sys, args, (*options).define, (*options).plan, out, errw)
	case "apply":
		define := func(o *options, set *flag.FlagSet) {
			o.defineApply(set)
			o.batchOps, o.beside = most, beside
		}
		return runOn(ctx, sys, args, define, (*options).apply, out, errw)
	case "undo":
		return runOn(ctx, sys, args, (*options).defineUndo, (*options).undo, out, errw)
	default:
		return runOn(ctx, sys, args, (*options).defineInto, (*options).status, out, errw)
	}
}

// ThisSystem is the machine's own.
func ThisSystem() System {
	sys, err := thisSystem()
	if err != nil {
		panic(err)
	}
	return sys
}

var (
	Runs   = runs
	Leaves = leaves
	Quote  = quote
	SizeOf = sizeOf
)

// Line returns what a meter shows.
func Line(total, done Amount, took time.Duration) string {
	now := time.Now()
	m := &meter{total: total, done: done, begin: now.Add(-took)}
	return m.line(now)
}

// ReadJournal reads a journal, and returns how many operations each run has, and how far it is.
func ReadJournal(sys System, h Handle) (ops []int, states []State, end int64, err error) {
	j := &journal{sys: sys, h: h}
	err = j.read()
	for _, r := range j.runs {
		ops, states = append(ops, len(r.Ops)), append(states, r.State)
	}
	return ops, states, j.end, err
}
