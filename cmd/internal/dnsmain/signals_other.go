//go:build !unix

package dnsmain

import "os"

var (
	stopSignals    = []os.Signal{os.Interrupt}
	reloadSignals  []os.Signal
	ignoredSignals []os.Signal
)
