package relay

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// kind says how an attempt has failed, or why another node was asked.
type kind uint8

const (
	kindDial     kind = iota // no connection: nothing has reached the node
	kindBroken               // the connection broke before the headers came
	kindLetGo                // the node went down before the headers came
	kindMoved                // the client's pin has moved meanwhile
	kindQueue                // no slot of max_requests became free
	kindAsked404             // the node knew no such session
	kindAsked401             // the node did not know the token
	kinds
)

var kindNames = [kinds]string{"dial", "broken", "let_go", "moved", "queue", "asked_404", "asked_401"}

// streamKind is a kind of answers that may last.
type streamKind uint8

const (
	streamWebsocket streamKind = iota
	streamEvents
	streamBody
	streamKinds
)

var streamNames = [streamKinds]string{"websocket", "events", "body"}

const (
	// classSlots is more than there are classes.
	classSlots = 16
	// statusSlots is one for each class of statuses, and one, the first, for clients that left before.
	statusSlots = 6
)

// stats is what is counted of one node.
type stats struct {
	requests [classSlots][statusSlots]atomic.Uint64
	retries  [kinds]atomic.Uint64
	saves    [kinds]atomic.Uint64
	received atomic.Uint64 // bytes of bodies, from clients
	sent     atomic.Uint64 // to them
}

// count counts the request that t was for.
func (t *trip) count() {
	s := &t.relay.nowhere
	if t.from != nil {
		s = t.from.stats
	} else if n := t.relay.view.Load().named(t.place.Node); n != nil {
		s = n.stats
	}
	s.requests[t.keys.Class%classSlots][statusSlot(t.status)].Add(1)
}

func statusSlot(status int) int {
	if slot := status / 100; slot < statusSlots {
		return slot
	}
	return 0
}

// collector gives the counts of all relays when Prometheus asks. They belong to the process, so that they go on
// over a reload, and those of a node are gone when it is. Its labels take their values from the Corefile, from
// the nodes that there are, and from short lists.
type collector struct{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("plexha", "proxy", name), help, labels, nil)
}

var (
	requestsDesc = desc("requests_total", "Requests by node, what they were for, and the class of the answer's status; "+
		"\"gone\": the client left before.", "zone", "node", "class", "status")
	upDesc      = desc("node_up", "1 while the node takes requests.", "zone", "node")
	stateDesc   = desc("node_state", "1 for the state that the node is in, 0 for all others.", "zone", "node", "state")
	openDesc    = desc("node_open", "1 while whoever comes through the proxy may administer the node.", "zone", "node")
	retriesDesc = desc("retries_total", "Attempts at a node that were followed by another, there or elsewhere, by what had happened.",
		"zone", "node", "kind")
	savesDesc = desc("saves_total", "Requests that a node answered in the end, by what had happened to them before.",
		"zone", "node", "kind")
	bytesDesc    = desc("bytes_total", "Bytes of bodies, to and from clients.", "zone", "node", "direction")
	activeDesc   = desc("node_requests", "Requests that hold a slot of max_requests.", "zone", "node")
	queuedDesc   = desc("node_queued", "Requests that wait for a slot of max_requests.", "zone", "node")
	playsDesc    = desc("playbacks", "Playbacks that this proxy sees at the node, paused ones included.", "zone", "node")
	streamsDesc  = desc("streams", "Answers under way, by kind.", "zone", "kind")
	waitingDesc  = desc("waiting", "Requests that wait for a node to come up, or to be tried again.", "zone")
	pinsDesc     = desc("pins", "Clients and tokens whose node is known.", "zone")
	sessionsDesc = desc("sessions", "Sessions whose node is known.", "zone")
)

// Describe implements [prometheus.Collector].
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, stateDesc, openDesc, requestsDesc, retriesDesc, savesDesc, bytesDesc, activeDesc, queuedDesc,
		playsDesc, streamsDesc, waitingDesc, pinsDesc, sessionsDesc,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (collector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range relays.all() {
		r.collect(ch)
		collectRequests(ch, r.zone, "", &r.nowhere)
		v := r.now()
		plays := r.plays.Count(time.Now())
		for i, n := range v.nodes {
			n.collect(ch, r.zone)
			gauge(ch, playsDesc, plays[n.name], r.zone, string(n.name))
			v.collect(ch, r.zone, &v.moment.Nodes.All[i])
		}
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value int, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

// counter leaves out what has never happened: most pairs of a class and a status never do.
func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, value *atomic.Uint64, labels ...string) {
	if v := value.Load(); v > 0 {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
}

func (r *Relay) collect(ch chan<- prometheus.Metric) {
	for k := range r.streams {
		gauge(ch, streamsDesc, int(r.streams[k].Load()), r.zone, streamNames[k])
	}
	gauge(ch, waitingDesc, int(r.waiting.Load()), r.zone)
	sizes := r.pins.Sizes()
	gauge(ch, pinsDesc, sizes.Pins, r.zone)
	gauge(ch, sessionsDesc, sizes.Sessions, r.zone)
}

// collect gives what the board says of a node.
func (v *view) collect(ch chan<- prometheus.Metric, zone string, n *affinity.Node) {
	name := string(n.Name)
	gauge(ch, upDesc, number(n.Up), zone, name)
	gauge(ch, openDesc, number(v.moment.Open[n.Name]), zone, name)
	if known := v.moment.Snapshot.Node(n.Name); known != nil {
		for _, state := range zones.States() {
			gauge(ch, stateDesc, number(state == known.State), zone, name, state.String())
		}
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (n *node) collect(ch chan<- prometheus.Metric, zone string) {
	name := string(n.name)
	collectRequests(ch, zone, n.name, n.stats)
	for k := range kinds {
		counter(ch, retriesDesc, &n.stats.retries[k], zone, name, kindNames[k])
		counter(ch, savesDesc, &n.stats.saves[k], zone, name, kindNames[k])
	}
	counter(ch, bytesDesc, &n.stats.sent, zone, name, "to_client")
	counter(ch, bytesDesc, &n.stats.received, zone, name, "from_client")
	n.mu.Lock()
	busy, queued := n.busy, len(n.queue)
	n.mu.Unlock()
	gauge(ch, activeDesc, busy, zone, name)
	gauge(ch, queuedDesc, queued, zone, name)
}

func collectRequests(ch chan<- prometheus.Metric, zone string, name zones.NodeName, s *stats) {
	for _, class := range affinity.Classes() {
		for slot := range statusSlots {
			counter(ch, requestsDesc, &s.requests[class%classSlots][slot], zone, string(name), class.String(), statusName(slot))
		}
	}
}

func statusName(slot int) string {
	if slot == 0 {
		return "gone"
	}
	return strconv.Itoa(slot) + "xx"
}
