package affinity

// Act is what a request says of its client's playback.
type Act uint8

// The acts.
const (
	NoAct  Act = iota
	Begins     // a decision or a start
	Reads      // a segment, a part or a download; or a ping, which paused players send as well
	Plays      // a timeline: it plays, or will when it has enough
	Pauses     // a timeline
	Ends       // a timeline, or the stop of a session
)

// Sign is what a request tells of a playback. Whose it is stands there by secret hashes alone, which are the same
// as long as the table lives; 0 is none.
type Sign struct {
	Act      Act
	Client   uint64 // who asks, or else who has begun the session that is named
	Token    uint64
	Sessions [maxSessions]uint64 // the first ones set
}

// Sign returns what a request tells of a playback. It is false for one that tells nothing, or names nobody.
func (t *Table) Sign(k *Keys) (s Sign, ok bool) {
	if k.act == NoAct || k.namesNobody() {
		return Sign{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s = Sign{
		Act:    k.act,
		Client: secretHash(t.seed, ofClient, k.client),
		Token:  secretHash(t.seed, ofToken, k.token),
	}
	n := 0
	for _, id := range k.sessions {
		if id == "" || id == k.client { // some apps call all sessions by their own name
			continue
		}
		s.Sessions[n] = secretHash(t.seed, ofSession, id)
		if known := t.sessions.peek(s.Sessions[n]); known != nil && s.Client == 0 {
			s.Client = known.owner
		}
		n++
	}
	return s, true
}
