package zones_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/zones"
)

// TestSplitIsWhatEachVariantHas puts both parts together again.
func TestSplitIsWhatEachVariantHas(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 26))
	apart := 0
	for i := range snapshots {
		w := random(r)
		w.cluster.Wildcard = i%2 == 0
		for _, view := range []zones.View{zones.Internal, zones.External} {
			variants := []zones.Variant{""}
			if view == zones.Internal {
				variants = w.Spreader().Variants()
			}
			split := w.Split(view)
			if got := max(1, len(split.Variants)); got != len(variants) {
				t.Fatalf("snapshot %d, %v: %d variants, want %d", i, view, got, len(variants))
			}
			for n, v := range variants {
				got := split.Answers
				if split.Variants != nil {
					apart += len(split.Variants[n])
					got.Records = slices.Concat(got.Records, split.Variants[n])
				}
				if diff := cmp.Diff(inOrder(w.Records(view, v)), inOrder(got), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Fatalf("snapshot %d, %v, variant %q (-records +split):\n%s", i, view, v, diff)
				}
			}
		}
	}
	if apart == 0 {
		t.Error("no variant had a record of its own")
	}
}

// inOrder sorts names. The records of one name and type stay in their order, which is that of the answer.
func inOrder(a zones.Answers) zones.Answers {
	a.Records, a.Managed = slices.Clone(a.Records), slices.Sorted(slices.Values(a.Managed))
	slices.SortStableFunc(a.Records, func(x, y zones.Record) int {
		if x.Label == y.Label {
			return int(x.Type) - int(y.Type)
		}
		return slices.Compare([]byte(x.Label), []byte(y.Label))
	})
	return a
}

// TestPickIsTheSameEachTime asks a spreader that remembers what it has picked, for more networks than it can remember
// without one taking another's place, and for each one that has picked for nobody before.
func TestPickIsTheSameEachTime(t *testing.T) {
	const networks = 2_000
	for _, n := range []int{2, 8, 64, 300} {
		w := cluster(nodes(numbered(n)...))
		weight("plex1", 3)(w)
		var want []zones.Variant
		for i := range networks {
			want = append(want, w.Spreader().Pick(someNetwork(i)))
		}
		sp := w.Spreader()
		variants := sp.Variants()
		for round := range 3 {
			for i := range networks {
				if got := sp.Pick(someNetwork(i)); got != want[i] {
					t.Fatalf("%d nodes, %v in round %d: %q, want %q", n, someNetwork(i), round, got, want[i])
				}
				if got := variants[sp.Index(someNetwork(i))]; got != want[i] {
					t.Fatalf("%d nodes, %v in round %d: index of %q, want that of %q", n, someNetwork(i), round, got, want[i])
				}
			}
		}
	}
}

// someNetwork returns IPv4 addresses and IPv6 networks in turn.
func someNetwork(i int) netip.Prefix {
	if i%2 == 0 {
		return zones.Network(netip.AddrFrom4([4]byte{10, 7, byte(i >> 8), byte(i)}))
	}
	return zones.Network(netip.AddrFrom16([16]byte{0xfd, 7, byte(i >> 8), byte(i)}))
}
