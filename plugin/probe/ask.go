package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"syscall"
	"time"

	"plexha/zones/board"
)

// asker puts one question to one place.
type asker interface {
	// ask returns when the place has answered, or soon after ctx has ended. With fresh it uses a connection
	// of its own, so that a bad connection is not taken for a bad server. Several calls may run at once.
	ask(ctx context.Context, fresh bool) answer
	// close lets go of what is kept between questions.
	close()
}

// askFunc is an asker that keeps nothing.
type askFunc func(ctx context.Context, fresh bool) answer

func (f askFunc) ask(ctx context.Context, fresh bool) answer { return f(ctx, fresh) }
func (askFunc) close()                                       {}

// answer is what one question found.
type answer struct {
	result   board.Result // OK, Failed or Starting
	identity string       // the machineIdentifier, with OK from a Plex server
	why      string       // empty with OK
	refused  bool         // nothing listens there
	broken   bool         // the connection ended before an answer
	panicked bool
}

func answerFailed(why string) answer { return answer{result: board.Failed, why: why} }

// answerError is the answer when a question could not be put or was not answered.
func answerError(ctx context.Context, err error) answer {
	return answer{
		result:  board.Failed,
		why:     words(ctx, err),
		refused: errors.Is(err, syscall.ECONNREFUSED),
		broken:  isBroken(err),
	}
}

// isBroken reports whether err says that the other side ended the connection.
func isBroken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// words says what went wrong without what the reader knows already: whom we asked, and how.
func words(ctx context.Context, err error) string {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		if cause := context.Cause(ctx); cause != nil {
			return cause.Error()
		}
		return "no answer in time"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed without an answer"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// withTimeout bounds one question. The cause of its end is what a verdict then says.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}
