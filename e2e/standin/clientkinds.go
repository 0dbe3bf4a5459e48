package standin

import (
	"context"
	"slices"
	"strconv"
)

// actions returns what an app of that kind does for a playback, in order.
func (c Client) actions() []action {
	switch c.Kind {
	case PlexWeb, Guest:
		return c.webActions()
	case TVApp:
		return c.tvActions()
	case DirectPlay:
		return c.directActions()
	case StrictApp:
		return c.strictActions()
	default:
		return nil
	}
}

// webActions are those of a recorded session of Plex Web 4.116.1. Before them it asks whom it talks to, and how the
// sections are numbered. A guest may not ask who else is watching.
func (c Client) webActions() []action {
	status := action{"status", func(b *Playback, ctx context.Context) { b.do(ctx, ask{path: "/status/sessions", ids: idsQuery}) }}
	all := slices.Concat(
		[]action{
			{"app", (*Playback).loadApp},
			{"files", (*Playback).loadFiles},
			{"root", (*Playback).greet},
			{"sections", (*Playback).readSections},
			c.listen(),
			{"hubs", (*Playback).readHubs},
			{"photo", (*Playback).readPhoto},
			{"queue", (*Playback).makeQueue},
			{"metadata", (*Playback).readMetadata},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startDASH},
			status,
			{"headers", (*Playback).readHeaders},
		},
		watch(0, c.Segments/2, (*Playback).readDASH),
		[]action{timeline("timeline", "playing", 1000), {"notification", (*Playback).awaitNotification}},
		watch(c.Segments/2, c.Segments, (*Playback).readDASH),
		[]action{
			timeline("timeline 9s", "playing", 9000),
			{"queue again", (*Playback).readQueue},
			status,
			timeline("stopped", "stopped", 19000),
			{"continue", (*Playback).readContinue},
			{"all", (*Playback).readSection},
			{"playlists", (*Playback).readPlaylists},
		},
	)
	if c.Kind == Guest {
		all = slices.DeleteFunc(all, func(a action) bool { return a.name == status.name })
	}
	return all
}

// tvActions are those of an app on a television.
func (c Client) tvActions() []action {
	return slices.Concat(
		[]action{
			{"root", (*Playback).greet},
			c.listen(),
			{"sections", (*Playback).readSections},
			{"all", (*Playback).readSection},
			{"photo", (*Playback).readPhoto},
			{"metadata", (*Playback).readMetadata},
			{"queue", (*Playback).makeQueue},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startHLS},
			{"playlist", (*Playback).readPlaylist},
		},
		watch(0, c.Segments/2, (*Playback).readHLS),
		[]action{timeline("timeline", "playing", 1000), {"notification", (*Playback).awaitNotification}, {"ping", (*Playback).ping}},
		watch(c.Segments/2, c.Segments, (*Playback).readHLS),
		[]action{
			timeline("timeline 9s", "playing", 9000),
			timeline("stopped", "stopped", 19000),
			{"stop", (*Playback).stop},
			{"scrobble", (*Playback).scrobble},
		},
	)
}

// directActions are those of an app that needs no transcoder.
func (c Client) directActions() []action {
	return []action{
		{"root", (*Playback).greet},
		{"sections", (*Playback).readSections},
		{"all", (*Playback).readSection},
		{"metadata", (*Playback).readMetadata},
		{"decision", (*Playback).decide},
		{"head", (*Playback).headFile},
		timeline("timeline", "playing", 1000),
		{"first half", (*Playback).readFirstHalf},
		timeline("timeline 9s", "playing", 9000),
		{"second half", (*Playback).readSecondHalf},
		{"two ranges", (*Playback).readRanges},
		timeline("stopped", "stopped", 19000),
		{"scrobble", (*Playback).scrobble},
	}
}

// strictActions are those of an app that was set up with one server and wants to stay with it.
func (c Client) strictActions() []action {
	return slices.Concat(
		[]action{
			{"root", (*Playback).greet},
			{"identity", (*Playback).askIdentity},
			{"sections", (*Playback).readSections},
			{"all", (*Playback).readSection},
			{"metadata", (*Playback).readMetadata},
			{"root again", (*Playback).greet},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startHLS},
			{"playlist", (*Playback).readPlaylist},
		},
		watch(0, c.Segments, (*Playback).readHLS),
		[]action{
			timeline("timeline", "playing", 1000),
			{"identity again", (*Playback).askIdentity},
			timeline("stopped", "stopped", 19000),
			{"root at last", (*Playback).greet},
		},
	)
}

// watch returns the actions that read segments from until before to, one after the other.
func watch(from, to int, read func(*Playback, context.Context, int)) []action {
	var all []action
	for n := from; n < to; n++ {
		all = append(all, action{"segment " + strconv.Itoa(n), func(b *Playback, ctx context.Context) { read(b, ctx, n) }})
	}
	return all
}

// ids is where this kind of app says who it is.
func (c Client) ids() ids {
	if c.Kind == PlexWeb || c.Kind == Guest {
		return idsQuery
	}
	return idsHeader
}
