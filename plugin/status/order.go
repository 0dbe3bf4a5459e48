package status

import (
	"errors"
	"net/http"
	"time"

	"plexha/corefile/state"
	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones"
	"plexha/zones/board"
)

// order gives an order to the cluster that is asked for, or to the only one that has a subject of that name.
func (s *server) order(r *http.Request) (int, any, error) {
	o, err := page.ReadOrder(r.Form, time.Now())
	if err != nil {
		return 0, nil, door.Refuse(http.StatusBadRequest, "%v", err)
	}
	g, err := s.whose(o)
	if err != nil {
		return 0, nil, err
	}
	what, _ := zones.OrderOf(o.Order) // ReadOrder returns no other
	err = g.Order(board.OrderLine{Name: o.Name, Order: what, Until: o.Until, Why: o.Why})
	if fault, ok := errors.AsType[*state.OrderError](err); ok {
		return 0, nil, door.Refuse(http.StatusBadRequest, "%v", fault)
	}
	if err != nil {
		return 0, nil, door.Refuse(http.StatusInternalServerError, "%v", err)
	}
	return http.StatusOK, Started{[]string{spoken(g.Zone())}}, nil
}

// whose returns the cluster that an order is for.
func (s *server) whose(o page.Order) (*guest, error) {
	asked, err := s.asked(o.Zone)
	if err != nil || len(asked) == 1 {
		return first(asked), err
	}
	var have []*guest
	for _, g := range asked {
		if _, ok := board.Named(g.Snapshot(), o.Name); ok {
			have = append(have, g)
		}
	}
	switch len(have) {
	case 0:
		return nil, door.Refuse(http.StatusNotFound, "no zone has %q: give zone, one of %s", o.Name, names(asked))
	case 1:
		return have[0], nil
	default:
		return nil, door.Refuse(http.StatusBadRequest, "several zones have %q: give zone, one of %s", o.Name, names(have))
	}
}

func first(guests []*guest) *guest {
	if len(guests) == 0 {
		return nil
	}
	return guests[0]
}
