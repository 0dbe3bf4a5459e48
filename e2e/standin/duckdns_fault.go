package standin

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// DuckFault is what is wrong with DuckDNS's API.
type DuckFault string

// The faults. With all but DuckAway, DuckKO and DuckLie the call does what it asks for, even if it does not learn of that.
const (
	DuckFine     DuckFault = ""
	DuckAway     DuckFault = "away"     // the connection is cut before anybody has read the call
	DuckKO       DuckFault = "ko"       // KO to everybody
	DuckLie      DuckFault = "lie"      // OK, and nothing is done
	DuckGone     DuckFault = "gone"     // the 404 page that Jetty showed in 2025 and 2026
	DuckGateway  DuckFault = "gateway"  // the balancer's 502 page
	DuckBusy     DuckFault = "busy"     // 429 with Retry-After
	DuckPortal   DuckFault = "portal"   // a page of somebody else's, with status 200
	DuckError    DuckFault = "error"    // the right answer, with status 500
	DuckHang     DuckFault = "hang"     // no answer
	DuckHangBody DuckFault = "hangbody" // half an answer
	DuckReset    DuckFault = "reset"    // the connection is cut
	DuckEmpty    DuckFault = "empty"    // an answer without a body
	DuckCRLF     DuckFault = "crlf"     // a line end after the right answer
	DuckRedirect DuckFault = "redirect" // to another host
	DuckEcho     DuckFault = "echo"     // another address in the answer
	DuckSlow     DuckFault = "slow"     // the right answer, two seconds later
	DuckTrickle  DuckFault = "trickle"  // the right answer, byte after byte within two seconds
	DuckStranger DuckFault = "stranger" // another host's certificate, see [DuckDNS.TLS]
)

// answer writes what a caller gets who would have got what is said, until the fault is released.
func (f DuckFault) answer(w http.ResponseWriter, r *http.Request, said string, released <-chan struct{}) {
	switch f {
	case DuckGone:
		page(w, http.StatusNotFound, "<html><head><title>Error 404 Not Found</title></head><body>Powered by Jetty://</body></html>")
	case DuckGateway:
		page(w, http.StatusBadGateway, "<html><head><title>502 Bad Gateway</title></head><body>nginx/1.20.0</body></html>")
	case DuckBusy:
		w.Header().Set("Retry-After", "120")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case DuckPortal:
		page(w, http.StatusOK, "<html><body>Accept our terms, then <a href=\""+r.URL.String()+"\">go on</a></body></html>")
	case DuckError:
		plain(w, http.StatusInternalServerError, said)
	case DuckHang:
		wait(r.Context(), nil, released)
		panic(http.ErrAbortHandler)
	case DuckHangBody:
		plain(w, http.StatusOK, said[:1])
		wait(r.Context(), nil, released)
		panic(http.ErrAbortHandler)
	case DuckReset:
		panic(http.ErrAbortHandler)
	case DuckEmpty:
		plain(w, http.StatusOK, "")
	case DuckCRLF:
		plain(w, http.StatusOK, said+"\r\n")
	case DuckRedirect:
		http.Redirect(w, r, "https://parked.example/", http.StatusFound)
	case DuckEcho:
		plain(w, http.StatusOK, wrongEcho(said))
	case DuckSlow:
		wait(r.Context(), time.After(late), nil)
		plain(w, http.StatusOK, said)
	case DuckTrickle:
		plain(w, http.StatusOK, "")
		for i := range said {
			wait(r.Context(), time.After(late/time.Duration(len(said))), nil)
			_, _ = io.WriteString(w, said[i:i+1])
			_ = http.NewResponseController(w).Flush()
		}
	default:
		plain(w, http.StatusOK, said)
	}
}

// wrongEcho puts another address in the place of the first.
func wrongEcho(said string) string {
	lines := strings.Split(said, "\n")
	if len(lines) > 1 {
		lines[1] = "192.0.2.99"
	}
	return strings.Join(lines, "\n")
}

// plain answers as DuckDNS does: in chunks, with the cookies of its load balancer.
func plain(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain;charset=utf-8")
	h.Set("Server", "nginx/1.20.0")
	h.Add("Set-Cookie", "AWSALB=abc; Path=/")
	h.Add("Set-Cookie", "AWSALBCORS=abc; Path=/; SameSite=None; Secure")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	_ = http.NewResponseController(w).Flush() // what has been flushed has no Content-Length
}

func page(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/html;charset=iso-8859-1")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
