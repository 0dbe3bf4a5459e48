package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// watch does what a home does all the time beside asking: it scrapes the metrics and has status pages open, until
// ctx ends. It fails if one of them does.
func watch(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	every := flags.Duration("every", 2*time.Second, "between scrapes")
	open := flags.Int("open", 1, "pages that are open")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errUsage
	}
	metrics, status := "http://"+flags.Arg(0)+"/metrics", "http://"+flags.Arg(1)
	if _, err := fetch(ctx, metrics); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range *open {
		wg.Go(func() { cancel(keepOpen(ctx, status)) })
	}
	fmt.Fprintln(stdout, "ready")
	wg.Go(func() { cancel(scrape(ctx, metrics, *every)) })
	wg.Wait()
	if why := context.Cause(ctx); !errors.Is(why, context.Canceled) {
		return why
	}
	return nil
}

// scrape fetches the metrics again and again.
func scrape(ctx context.Context, url string, every time.Duration) error {
	for tick := time.Tick(every); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
		if _, err := fetch(ctx, url); err != nil {
			return err
		}
	}
}

// keepOpen is a browser with a page: it takes in what changes, and comes again when the server has been replaced.
func keepOpen(ctx context.Context, status string) error {
	for {
		html, err := fetch(ctx, status+"/")
		if err != nil {
			return err
		}
		_, rest, ok := strings.Cut(html, `data-look="`)
		look, _, _ := strings.Cut(rest, `"`)
		if !ok {
			return fmt.Errorf("%s is no status page", status)
		}
		if _, err := fetch(ctx, status+"/live?look="+url.QueryEscape(look)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// client has no deadline: a stream lasts as long as what it watches.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}

// fetch reads an answer to its end, which is that of its server if it is a stream, and returns its first part.
func fetch(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking for %s: %s", url, res.Status)
	}
	first, err := io.ReadAll(io.LimitReader(res.Body, firstPart))
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
	}
	if ctx.Err() == nil && err != nil && res.ContentLength < 0 {
		err = nil // a stream's server may end in the middle of a word
	}
	return string(first), err
}

// firstPart is as much of an answer as is looked at.
const firstPart = 64 << 10
