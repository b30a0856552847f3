package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// TLS says who a node is and whom it believes: files in PEM form, which are read again when they have changed, so that
// certificates and authorities are replaced without a restart. While what is in them cannot be used, what was read before stays
// in use.
type TLS struct {
	// CertFile and KeyFile are the node's certificate, with the intermediate ones behind it, and its key.
	CertFile, KeyFile string
	// CAFile holds the authorities that sign nodes' certificates, one or several.
	CAFile string
	// Identity is the name in the certificate of a node: one of its DNS names or URIs, letter by letter. Default: the node's own
	// name.
	Identity func(NodeID) string
}

// lookEvery is how often the files are looked at.
const lookEvery = time.Second

// identities are the files as they were read last.
type identities struct {
	files TLS

	mu     sync.Mutex
	looked time.Time
	stamps [3]stamp
	cert   *tls.Certificate
	pool   *x509.CertPool
}

// stamp tells versions of a file apart.
type stamp struct {
	at   time.Time
	size int64
}

func (o *TLS) open() (*identities, error) {
	i := &identities{files: *o}
	if i.files.Identity == nil {
		i.files.Identity = func(id NodeID) string { return id }
	}
	if err := i.load(); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *identities) names() [3]string {
	return [3]string{i.files.CertFile, i.files.KeyFile, i.files.CAFile}
}

// load reads the files. It holds mu, or nobody else has i.
func (i *identities) load() error {
	var stamps [3]stamp
	for k, name := range i.names() {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("tcp: %w", err)
		}
		stamps[k] = stamp{info.ModTime(), info.Size()}
	}
	cert, err := tls.LoadX509KeyPair(i.files.CertFile, i.files.KeyFile)
	if err != nil {
		return fmt.Errorf("tcp: certificate: %w", err)
	}
	authorities, err := os.ReadFile(i.files.CAFile)
	if err != nil {
		return fmt.Errorf("tcp: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return fmt.Errorf("tcp: %s holds no certificate", i.files.CAFile)
	}
	i.stamps, i.cert, i.pool = stamps, &cert, pool
	return nil
}

// current returns certificate and authorities, read again if their files have changed.
func (i *identities) current() (*tls.Certificate, *x509.CertPool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.Sub(i.looked) >= lookEvery {
		i.looked = now
		if i.changed() {
			_ = i.load() // half replaced, or wrong: the old ones stay, and the next look may find better
		}
	}
	return i.cert, i.pool
}

func (i *identities) changed() bool {
	for k, name := range i.names() {
		info, err := os.Stat(name)
		if err == nil && (stamp{info.ModTime(), info.Size()}) != i.stamps[k] {
			return true
		}
	}
	return false
}

// client is the configuration to dial a node with.
func (i *identities) client(id NodeID) *tls.Config {
	cert, pool := i.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert},
		InsecureSkipVerify: true, // VerifyConnection does it, for names that are no host's
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := verify(s, pool, x509.ExtKeyUsageServerAuth); err != nil {
				return err
			}
			return i.check(s, id)
		},
	}
}

// server is the configuration for those who dial. Whom their certificate is for shows when they have said who they are.
func (i *identities) server() *tls.Config {
	cert, pool := i.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert},
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error { return verify(s, pool, x509.ExtKeyUsageClientAuth) },
	}
}

// verify checks a peer's chain: signed by an authority, valid today, for this use.
func verify(s tls.ConnectionState, pool *x509.CertPool, use x509.ExtKeyUsage) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("tcp: no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use}})
	return err
}

// check reports whether a certificate is that of a node. Error: errIdentity.
func (i *identities) check(s tls.ConnectionState, id NodeID) error {
	want, leaf := i.files.Identity(id), s.PeerCertificates[0]
	if want == "" {
		return fmt.Errorf("%w: node %q has no identity", errIdentity, id)
	}
	if slices.Contains(leaf.DNSNames, want) {
		return nil
	}
	for _, u := range leaf.URIs {
		if u.String() == want {
			return nil
		}
	}
	return fmt.Errorf("%w: node %q should be %q, the certificate is for %s", errIdentity, id, want, strings.Join(leaf.DNSNames, ", "))
}
