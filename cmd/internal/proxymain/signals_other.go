//go:build !unix

package proxymain

import "os"

var (
	stopSignals    = []os.Signal{os.Interrupt}
	reloadSignals  []os.Signal
	ignoredSignals []os.Signal
)
