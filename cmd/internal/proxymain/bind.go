package proxymain

import "plexha/cmd/internal/holder"

// explained adds to an error of a start, or of a changed Corefile, who holds the port that it wants, and what to do.
func explained(err error) error { return holder.Explain(holder.PlexProxy, err) }
