//go:build linux

package nstest

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"
)

// probe tries what the test needs of the kernel. Its error says what lacks.
func probe(dir string) error {
	for _, p := range []struct {
		what string
		try  func() error
	}{
		{"veth pairs and bridges", probeLinks},
		{"network namespaces by ip", probeNamespace},
		{"nft", func() error { return tool(filter, "nft", "-f", "-") }},
		{"ss -K (CONFIG_INET_DIAG_DESTROY)", probeReset},
		{"ext4 on a loop device", func() error { return probeDisk(dir) }},
	} {
		if err := p.try(); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	return nil
}

func probeLinks() error {
	return errors.Join(
		tool("", "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"), tool("", "ip", "link", "del", "probe0"),
		tool("", "ip", "link", "add", "probe2", "type", "bridge"), tool("", "ip", "link", "del", "probe2"))
}

func probeNamespace() error {
	return errors.Join(tool("", "ip", "netns", "add", "probe"), tool("", "ip", "netns", "exec", "probe", "true"), tool("", "ip", "netns", "del", "probe"))
}

// probeReset ends a connection with itself.
func probeReset() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	c, err := net.DialTimeout("tcp", ln.Addr().String(), time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := tool("", "ss", "-K", "-t", "-n", "dst", ln.Addr().String()); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		return errors.New("the connection goes on")
	}
	return nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func probeDisk(dir string) error {
	d, err := newDisk(filepath.Join(dir, "probe"), 16<<20)
	if err != nil {
		return err
	}
	return syscall.Unmount(d.mount, 0)
}
