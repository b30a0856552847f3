package tcp

import (
	"crypto/tls"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/authority"
	"github.com/rawl-db/rawl/raft/transport"
)

// issuer signs certificates of tests.
type issuer struct {
	t testing.TB
	*authority.Authority
}

func newIssuer(t testing.TB) *issuer {
	a, err := authority.New()
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, a}
}

// write puts a node's files into a directory, in place of those that are there.
func (i *issuer) write(dir, name string, until time.Time) TLS {
	if err := i.Issue(dir, name, until); err != nil {
		i.t.Fatal(err)
	}
	return TLS{CertFile: authority.CertFile(dir), KeyFile: authority.KeyFile(dir), CAFile: authority.CAFile(dir)}
}

// secured has each node of a house work with a certificate of its own.
func secured(t testing.TB, a *issuer, names map[NodeID]string) func(NodeID, *Options) {
	return func(id NodeID, o *Options) {
		name := names[id]
		if name == "" {
			name = id
		}
		files := a.write(t.TempDir(), name, time.Now().Add(time.Hour))
		o.TLS, o.InsecurePlaintext = &files, false
	}
}

// With TLS letters of every size arrive, and the bytes on the wire are not the letters'.
func TestTLS(t *testing.T) {
	h := newHouse(t, secured(t, newIssuer(t), nil), "a", "b")
	for c := range transport.Class(transport.Classes) {
		for _, n := range []int{1, 100, 1 << 20} {
			h.send("a", "b", c, letter(slices.Repeat([]byte{'x'}, n)))
		}
		h.until("the letters", func() bool { return len(h.sinks["b"].letters("a", c)) == 3 })
	}
	h.send("b", "a", transport.Log, "back")
	h.until("a letter", func() bool { return len(h.sinks["a"].letters("b", transport.Log)) == 1 })
}

// Who has a certificate that is not the one of the node that it claims to be, or that nobody vouches for, or that has
// expired, is refused and counted, by either side.
func TestWrongCertificates(t *testing.T) {
	good, other := newIssuer(t), newIssuer(t)
	for name, wrong := range map[string]func(o *Options){
		"another node's": func(o *Options) { f := good.write(t.TempDir(), "c", time.Now().Add(time.Hour)); o.TLS = &f },
		"another authority's": func(o *Options) {
			f := other.write(t.TempDir(), "b", time.Now().Add(time.Hour))
			trusted := good.write(t.TempDir(), "b", time.Now().Add(time.Hour))
			f.CAFile = trusted.CAFile
			o.TLS = &f
		},
		"expired": func(o *Options) { f := good.write(t.TempDir(), "b", time.Now().Add(-time.Hour)); o.TLS = &f },
	} {
		t.Run(name, func(t *testing.T) {
			as := secured(t, good, nil)
			h := newHouse(t, func(id NodeID, o *Options) {
				as(id, o)
				if id == "b" {
					wrong(o)
				}
			}, "a", "b")
			for _, way := range [][2]NodeID{{"a", "b"}, {"b", "a"}} {
				before := h.ends["a"].Stats().Identity
				h.until("a refusal by a", func() bool {
					_ = h.ends[way[0]].Send(way[1], transport.Log, "x")
					return h.ends["a"].Stats().Identity > before
				})
			}
			for _, id := range []NodeID{"a", "b"} {
				for _, x := range h.sinks[id].all() {
					if x.event != transport.Dropped { // what it sent itself
						t.Errorf("%s hears %+v", id, x)
					}
				}
			}
		})
	}
}

// A node's identity is the one that the map says, a URI here.
func TestIdentityByURI(t *testing.T) {
	uri := func(id NodeID) string { return "spiffe://service/" + id }
	as := secured(t, newIssuer(t), map[NodeID]string{"a": uri("a"), "b": uri("b")})
	h := newHouse(t, func(id NodeID, o *Options) {
		as(id, o)
		o.TLS.Identity = uri
	}, "a", "b")
	h.meet("a", "b")
}

// Plain TCP to a node with TLS, and the reverse, comes to nothing and is counted.
func TestMixedUp(t *testing.T) {
	as := secured(t, newIssuer(t), nil)
	h := newHouse(t, func(id NodeID, o *Options) {
		o.HandshakeTimeout = 300 * time.Millisecond
		if id == "a" {
			as(id, o)
		}
	}, "a", "b")
	for _, way := range [][2]NodeID{{"a", "b"}, {"b", "a"}} {
		h.until("a failure", func() bool {
			_ = h.ends[way[0]].Send(way[1], transport.Log, "x")
			return h.ends[way[0]].Stats().Failed > 0
		})
	}
	h.until("the counts", func() bool { return h.ends["a"].Stats().Identity > 0 && h.ends["b"].Stats().Malformed > 0 })
}

// Certificates are replaced while the node runs; files that are half written leave the old ones in use.
func TestCertificatesReload(t *testing.T) {
	a := newIssuer(t)
	dir := t.TempDir()
	o := a.write(dir, "a", time.Now().Add(time.Hour))
	i, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	first, _ := i.current()
	look := func() *tls.Certificate {
		i.mu.Lock()
		i.looked = time.Time{}
		i.mu.Unlock()
		c, _ := i.current()
		return c
	}
	if look() != first {
		t.Error("unchanged files were read again")
	}
	if err := os.WriteFile(o.CertFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if look() != first {
		t.Error("half a file is in use")
	}
	a.write(dir, "a", time.Now().Add(2*time.Hour))
	second := look()
	if second == first || second.Leaf.NotAfter.Equal(first.Leaf.NotAfter) {
		t.Error("the new certificate is not in use")
	}
}

// Options that do not go together, or that nothing can be made of.
func TestBadOptions(t *testing.T) {
	good := Options{Listen: "127.0.0.1:0", Resolver: Addresses{}, InsecurePlaintext: true}
	for name, change := range map[string]func(*Options){
		"no resolver":       func(o *Options) { o.Resolver = nil },
		"no address":        func(o *Options) { o.Listen = "" },
		"a bad address":     func(o *Options) { o.Listen = "nowhere:x" },
		"TLS and plaintext": func(o *Options) { o.TLS = &TLS{} },
		"missing files": func(o *Options) {
			o.TLS, o.InsecurePlaintext = &TLS{CertFile: "no", KeyFile: "no", CAFile: "no"}, false
		},
		"a long cookie":      func(o *Options) { o.Cookie = string(make([]byte, 2000)) },
		"a tiny outbox":      func(o *Options) { o.Outbox[0] = 1 },
		"tiny frames":        func(o *Options) { o.MaxFrameBytes = 1 },
		"a negative timeout": func(o *Options) { o.WriteTimeout = -1 },
		"pauses":             func(o *Options) { o.MinPause, o.MaxPause = time.Second, time.Millisecond },
		"no places":          func(o *Options) { o.MaxPeers = -1 },
	} {
		o := good
		change(&o)
		if x, err := Join(o, "a", 1, post{}, transport.Receiver[letter](&sink{})); err == nil {
			t.Errorf("%s: it joins", name)
			_ = x.Close()
		}
	}
	insecure := good
	insecure.InsecurePlaintext = false
	if _, err := Join(insecure, "a", 1, post{}, transport.Receiver[letter](&sink{})); !errors.Is(err, ErrInsecure) {
		t.Error(err)
	}
	if _, err := Join(good, "", 1, post{}, transport.Receiver[letter](&sink{})); !errors.Is(err, ErrBadName) {
		t.Error(err)
	}
	if _, err := (Addresses{}).Resolve(t.Context(), "x"); err == nil {
		t.Error("nobody has an address")
	}
}
