package corefile

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns a hint at the word that comes nearest to what was read, or nothing.
func didYouMean(read string, words []string) string {
	if word := Nearest(read, words); word != "" {
		return fmt.Sprintf(": did you mean %q?", word)
	}
	return ""
}

// sameStart is how many first letters two words must share to be near whatever follows, as "proxy" and
// "proxies" are.
const sameStart = 4

// Nearest returns the word with the fewest typos between it and what was read, else the first one that
// begins alike, or "" if all are too far away to be meant: more than one typo in every three letters.
func Nearest(read string, words []string) string {
	read = strings.ToLower(read)
	best, fewest := "", len(read)/3+1
	if len(read) < 3 {
		fewest = 2 // "tl" may mean "ttl"
	}
	for _, word := range words {
		if n := typos(read, word); n < fewest {
			best, fewest = word, n
		}
	}
	if best == "" && len(read) >= sameStart {
		alike := func(word string) bool { return strings.HasPrefix(word, read[:sameStart]) }
		if i := slices.IndexFunc(words, alike); i >= 0 {
			best = words[i]
		}
	}
	return best
}

// typos counts the letters to add, drop, change or swap with their neighbour to make b of a (the optimal
// string alignment distance).
func typos(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// listed joins words as prose: `a, b or c`.
func listed(words []string) string {
	words = slices.Clone(words)
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " or " + words[n]
}
