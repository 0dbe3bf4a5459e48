package main

import (
	"fmt"
	"io"
	"slices"
)

// trend prints how memory went, from a file of lines with seconds and KiB: at first, the least and the most of it, and
// by how much it grew in an hour, as the median of the last quarter beside that of the second. In the first one a
// program has not yet seen everything.
func trend(args []string, w io.Writer) error {
	if len(args) != 1 {
		return errUsage
	}
	lines, err := readLines(args[0])
	if err != nil {
		return fmt.Errorf("reading the memory: %w", err)
	}
	var at, kibs []float64
	for _, line := range lines {
		var second, size float64
		if _, err := fmt.Sscan(line, &second, &size); err != nil {
			return fmt.Errorf("reading %q: %w", line, err)
		}
		at, kibs = append(at, second), append(kibs, size)
	}
	if len(kibs) < 4 {
		return fmt.Errorf("reading the memory: %d lines, want 4 or more", len(kibs))
	}
	n := len(kibs) / 4
	early, late := middle(kibs[n:2*n]), middle(kibs[len(kibs)-n:])
	hours := (middle(at[len(at)-n:]) - middle(at[n:2*n])) / 3600
	_, err = fmt.Fprintf(w, "memory: %.1f MiB at first, then %.1f to %.1f; %.1f in the second quarter, %.1f in the last: "+
		"%+.1f%%, %+.1f MiB an hour\n", kibs[0]/1024, slices.Min(kibs)/1024, slices.Max(kibs)/1024, early/1024, late/1024,
		(late/early-1)*100, (late-early)/1024/hours)
	return err
}

// middle returns the median of values.
func middle(values []float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), 0.5)
}
