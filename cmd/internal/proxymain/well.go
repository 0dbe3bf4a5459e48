package proxymain

import (
	"context"
	"fmt"
	"net/http"
)

// watch tells the service manager from time to time that all is well, until it is told to end.
func (p *program) watch(ctx context.Context) (end func()) {
	// Each time on a new connection, which whoever is new would need, too.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	well := func(ctx context.Context) error { return p.well(ctx, client) }
	return p.manager.Start(ctx, well, func(err error) { p.log(true, err.Error()) })
}

// well returns what is wrong, if anything is. An answer of any kind is one: that no node is up is no fault of ours.
func (p *program) well(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%v/.plexha/ready", *p.status.Load()), http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking ourselves: %w", err)
	}
	return answer.Body.Close()
}
