//go:build !linux

package tcp

import (
	"errors"
	"net"
	"time"
)

// setUserTimeout has no portable form: the write deadline ends a connection whose peer takes nothing.
func setUserTimeout(*net.TCPConn, time.Duration) error { return errors.ErrUnsupported }
