package status

import "plexha/plugin/status/page"

func draw(d Document, local bool) page.Doc { return page.Doc{Clusters: make([]page.Cluster, len(d.Clusters))} }
