package plugin

import (
	"fmt"
	"maps"
	"slices"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/file/tree"
	"github.com/miekg/dns"

	"plexha/zones"
)

// stage is a zone in the making, but for its SOA and NS records: first what its zone files say, then what all
// variants have of ours, then what one variant has. Each stage shares with the one below what it does not change, so
// that a change of health costs what is ours, however long the zone files are.
type stage struct {
	tree    *tree.Tree
	layer   *layer
	failing bool // some names are
}

// newStage returns the stage of a zone file's records, which it may change.
func newStage(origin string, static []dns.RR) (stage, error) {
	z := file.NewZone(origin, "") // which knows how names are to be spelled
	l := newLayer(nil)
	exist := func(name string) {
		for ; l.owners[name] == nil; name = parent(name) {
			l.add(name)
			if name == origin {
				return
			}
		}
	}
	exist(origin)
	for _, rr := range static {
		if err := z.Insert(rr); err != nil {
			return stage{}, fmt.Errorf("inserting %s: %w", rr.Header().Name, err)
		}
		exist(rr.Header().Name) // as Insert spells it
	}
	var empty []*tree.Elem
	for name := range l.owners {
		if _, found := z.Search(name); !found {
			empty = append(empty, newElem(name))
		}
	}
	slices.SortFunc(empty, compareElems)
	z.Root = overlay(z.Root, empty)
	for _, elem := range z.All() { // parents come before what is below them
		l.describe(l.owners[elem.Name()], elem, origin)
	}
	return stage{tree: z.Tree, layer: l}, nil
}

// newElem returns an element of a zone without records: a file.Zone then gives NODATA for the name, and lets no
// wildcard stand in for what is below (RFC 4592, 3.3.1).
func newElem(name string) *tree.Elem {
	none := &dns.NULL{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeNULL, Class: dns.ClassINET}}
	var t tree.Tree
	t.Insert(none)
	t.Root.Elem.Delete(none)
	return t.Root.Elem
}

// overlay returns a tree with the elements of another and these, sorted ones, which take the place of their equals.
// It shares all below which none of them lies. It leaves the colors alone: nothing is inserted by them any more.
func overlay(n *tree.Node, elems []*tree.Elem) *tree.Node {
	if len(elems) == 0 {
		return n
	}
	if n == nil {
		mid := len(elems) / 2
		return &tree.Node{Elem: elems[mid], Left: overlay(nil, elems[:mid]), Right: overlay(nil, elems[mid+1:])}
	}
	i, found := slices.BinarySearchFunc(elems, n.Elem, compareElems)
	out, rest := *n, elems[i:]
	if found {
		out.Elem, rest = elems[i], elems[i+1:]
	}
	out.Left, out.Right = overlay(n.Left, elems[:i]), overlay(n.Right, rest)
	return &out
}

// compareElems orders as the tree does (RFC 4034, 6.1).
func compareElems(a, b *tree.Elem) int { return tree.Less(b, a.Name()) }

// describe tells the layer what a name holds, whose parent it was told of before.
func (l *layer) describe(o *owner, elem *tree.Elem, origin string) {
	apex := o.name == origin
	types := ownTypes(elem)
	o.records = apex || !elem.Empty()
	if apex {
		types = append(types, dns.TypeSOA, dns.TypeNS)
	} else {
		o.cut = elem.Type(dns.TypeNS) != nil || elem.Type(dns.TypeDNAME) != nil || l.of(parent(o.name)).cut
	}
	l.number(o, types)
}

// storey grows a stage.
type storey struct {
	under  stage
	origin string
	layer  *layer
	elems  map[string]*tree.Elem // by name
}

func (st stage) grow(origin string) *storey {
	return &storey{under: st, origin: origin, layer: newLayer(st.layer), elems: map[string]*tree.Elem{}}
}

// elem returns the element of a name, with none but the records that were added, and who owns it.
func (s *storey) elem(name string) (*tree.Elem, *owner) {
	if e := s.elems[name]; e != nil {
		return e, s.layer.owners[name]
	}
	e := newElem(name)
	s.elems[name] = e
	below := s.under.layer.of(name)
	if below == nil && name != s.origin && s.layer.of(parent(name)) == nil {
		s.elem(parent(name))
	}
	o := s.layer.add(name)
	if below != nil {
		o.kind, o.failing = below.kind, below.failing
	}
	return e, o
}

// manage adds the managed names.
func (s *storey) manage(a zones.Answers, c *zones.Cluster, apexGiven bool) (failing bool) {
	for _, label := range a.Managed {
		_, o := s.elem(fqdn(label, s.origin))
		o.kind = kindOf(label, c)
	}
	for _, label := range a.Failing {
		if label == zones.Apex && apexGiven {
			continue
		}
		_, o := s.elem(fqdn(label, s.origin))
		o.failing, failing = true, true
	}
	return failing
}

// insert adds records of ours.
func (s *storey) insert(records []zones.Record, apexGiven bool) {
	for _, r := range records {
		if r.Type == zones.TypeNS || apexGiven && r.Label == zones.Apex && r.Addr.IsValid() {
			continue
		}
		e, _ := s.elem(fqdn(r.Label, s.origin))
		e.Insert(toRR(r, s.origin))
	}
}

// finish returns the stage, with the records of the one below that keep says.
func (s *storey) finish(keep func(o *owner, rtype uint16) bool) stage {
	elems := slices.SortedFunc(maps.Values(s.elems), compareElems)
	for _, e := range elems {
		o := s.layer.owners[e.Name()]
		if below, found := s.under.tree.Search(e.Name()); found {
			for _, t := range below.Types() {
				if !keep(o, t) {
					continue
				}
				for _, rr := range below.Type(t) {
					e.Insert(rr)
				}
			}
		}
		s.layer.describe(o, e, s.origin)
	}
	t := &tree.Tree{Root: overlay(s.under.tree.Root, elems)}
	return stage{tree: t, layer: s.layer, failing: s.under.failing}
}

// keepsStatic reports whether a zone file's record stands where not only we speak. Files are checked when they are
// read, but a node that a `nodes` line finds later may take a name over.
func (s *storey) keepsStatic(o *owner, rtype uint16) bool {
	return o.kind == kindOther || o.name == s.origin || rtype == dns.TypeTXT
}

func keepsAll(*owner, uint16) bool { return true }
