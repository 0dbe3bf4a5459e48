package cluster

// KeepPinsIn says where the pins are kept, as Adopt does: a bubble of time can't watch a state folder.
func (c *Cluster) KeepPinsIn(file string) { c.file.use(file) }

// Hosts returns where the names of the first zone lead.
func (m *Moment) Hosts() []HostStatus { return m.hosts() }
