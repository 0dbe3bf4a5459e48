package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A sample is one line of the file that a script writes, with tabs between the fields:
//
//	load    ROW  ROUND  PROXY   requests  microseconds  CPU in microseconds  p99 in microseconds
//	memory  ROW  ROUND  PROXY   streams   KiB before    KiB with them
//	dns     ROW  ROUND  SERVER  answers   microseconds  CPU in microseconds  KiB  lost
//	growth  ROW  ROUND  SIZE    answers   microseconds  CPU in microseconds  KiB  lost
//	share   ROW  ROUND  TOOL    files     microseconds  those until it is on the disk  CPU in microseconds  KiB
type sample struct {
	kind, row, proxy string
	round            int
	numbers          []float64
}

// fields is how many numbers the samples of a kind have.
var fields = map[string]int{"load": 4, "memory": 3, "dns": 5, "growth": 5, "share": 5}

// lostAt is which number counts what was lost: that one may be zero.
const lostAt = 4

func parseSample(line string) (sample, error) {
	f := strings.Split(line, "\t")
	if len(f) < 4 || len(f)-4 != fields[f[0]] {
		return sample{}, fmt.Errorf("no sample: %q", line)
	}
	s := sample{kind: f[0], row: f[1], proxy: f[3]}
	var err error
	if s.round, err = strconv.Atoi(f[2]); err != nil {
		return sample{}, fmt.Errorf("reading the round of %q: %w", line, err)
	}
	for _, text := range f[4:] {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 0 || n == 0 && len(s.numbers) < lostAt {
			return sample{}, fmt.Errorf("no number above zero in %q: %q", line, text)
		}
		s.numbers = append(s.numbers, n)
	}
	return s, nil
}

// perSecond, cpu, p99 and memory are what the samples say.
func (s sample) perSecond() float64 { return s.numbers[0] / s.numbers[1] * 1e6 }
func (s sample) cpu() float64       { return s.numbers[2] / s.numbers[0] }
func (s sample) p99() float64       { return s.numbers[3] }
func (s sample) memory() float64    { return (s.numbers[2] - s.numbers[1]) / s.numbers[0] }
func (s sample) resident() float64  { return s.numbers[3] }
func (s sample) lost() float64      { return s.numbers[lostAt] }

// took, onDisk, used and most are what those of copies say.
func (s sample) took() float64   { return s.numbers[1] }
func (s sample) onDisk() float64 { return s.numbers[2] }
func (s sample) used() float64   { return s.numbers[3] }
func (s sample) most() float64   { return s.numbers[4] }

// column is one quantity of a table: of the sample itself, or its ratio to that of another proxy in the same
// round.
type column struct {
	head   string
	value  func(sample) float64
	unit   func(median float64) unit
	beside string // the other proxy; empty: none
}

var columns = map[string][]column{
	"load": {
		{"requests/s", sample.perSecond, count, ""},
		{"CPU a request", sample.cpu, micros, ""},
		{"p99", sample.p99, micros, ""},
		{"CPU x caddy", sample.cpu, ratio, "caddy"},
		{"CPU x haproxy", sample.cpu, ratio, "haproxy"},
		{"requests/s x haproxy", sample.perSecond, ratio, "haproxy"},
	},
	"memory": {
		{"a stream", sample.memory, kib, ""},
		{"x caddy", sample.memory, ratio, "caddy"},
		{"x haproxy", sample.memory, ratio, "haproxy"},
		{"before them", func(s sample) float64 { return s.numbers[1] }, kib, ""},
	},
	"dns": {
		{"queries/s", sample.perSecond, count, ""},
		{"CPU a query", sample.cpu, fineMicros, ""},
		{"x plexdns", sample.cpu, ratio, "plexdns"},
		{"x gdnsd", sample.cpu, ratio, "gdnsd"},
		{"x C echo", sample.cpu, ratio, "echo-c"},
		{"memory", sample.resident, kib, ""},
		{"lost", sample.lost, count, ""},
	},
	"share": {
		{"until it ends", sample.took, seconds, ""},
		{"until on the disk", sample.onDisk, seconds, ""},
		{"x cp", sample.took, ratio, "cp"},
		{"on the disk x cp", sample.onDisk, ratio, "cp"},
		{"CPU", sample.used, seconds, ""},
		{"memory", sample.most, kib, ""},
	},
	"growth": {
		{"queries/s", sample.perSecond, count, ""},
		{"CPU a query", sample.cpu, fineMicros, ""},
		{"memory", sample.resident, kib, ""},
		{"lost", sample.lost, count, ""},
	},
}

// unit is how a quantity is written.
type unit struct {
	name     string
	size     float64
	decimals int
}

func (u unit) write(v float64) string { return strconv.FormatFloat(v/u.size, 'f', u.decimals, 64) }

func count(float64) unit { return unit{"", 1, 0} }
func ratio(float64) unit { return unit{"", 1, 2} }

func kib(median float64) unit {
	if median < 10_000 {
		return unit{" KiB", 1, 1}
	}
	return unit{" MiB", 1 << 10, 1}
}

func micros(median float64) unit {
	if median < 1000 {
		return unit{" us", 1, 0}
	}
	return unit{" ms", 1000, 2}
}

func seconds(float64) unit { return unit{" s", 1e6, 2} }

// fineMicros is for what a name server needs for a query.
func fineMicros(float64) unit { return unit{" us", 1, 2} }

// table prints the medians of a file of samples, with the quartiles in brackets, row by row as they first came.
func table(file string, w io.Writer) error {
	lines, err := readLines(file)
	if err != nil {
		return fmt.Errorf("reading the samples: %w", err)
	}
	var samples []sample
	for _, line := range lines {
		s, err := parseSample(line)
		if err != nil {
			return err
		}
		samples = append(samples, s)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range distinct(samples, func(s sample) string { return s.row }) {
		printRow(out, row, slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.row != row }))
	}
	return out.Flush()
}

// printRow prints one row of the table, which is a line for each proxy.
func printRow(w io.Writer, row string, samples []sample) {
	cols := columns[samples[0].kind]
	fmt.Fprint(w, row)
	for _, c := range cols {
		fmt.Fprint(w, "\t", c.head)
	}
	fmt.Fprintln(w)
	for _, proxy := range distinct(samples, func(s sample) string { return s.proxy }) {
		fmt.Fprint(w, "  ", proxy)
		for _, c := range cols {
			fmt.Fprint(w, "\t", c.cell(proxy, samples))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// cell returns median and quartiles of the column for one proxy.
func (c column) cell(proxy string, samples []sample) string {
	if c.beside == proxy {
		return "1"
	}
	values := c.values(proxy, samples)
	if len(values) == 0 {
		return "-"
	}
	slices.Sort(values)
	median := quantile(values, 0.5)
	u := c.unit(median)
	if len(values) == 1 {
		return u.write(median) + u.name
	}
	return fmt.Sprintf("%s%s (%s-%s)", u.write(median), u.name, u.write(quantile(values, 0.25)), u.write(quantile(values, 0.75)))
}

// values returns the column's values for one proxy, of the rounds that have both if it is a ratio.
func (c column) values(proxy string, samples []sample) []float64 {
	others := map[int]float64{}
	for _, s := range samples {
		if s.proxy == c.beside {
			others[s.round] = c.value(s)
		}
	}
	var out []float64
	for _, s := range samples {
		if s.proxy != proxy {
			continue
		}
		if c.beside == "" {
			out = append(out, c.value(s))
		} else if other, ok := others[s.round]; ok {
			out = append(out, c.value(s)/other)
		}
	}
	return out
}

// quantile returns a quantile of sorted values, between two of them if it must.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := math.Floor(at)
	low := sorted[int(below)]
	high := sorted[min(int(below)+1, len(sorted)-1)]
	return low + (at-below)*(high-low)
}

// distinct returns the different keys of samples, in the order in which they first come.
func distinct(samples []sample, key func(sample) string) []string {
	var keys []string
	for _, s := range samples {
		if k := key(s); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}
