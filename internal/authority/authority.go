// Package authority signs certificates of nodes, for tests: in a directory for each node its certificate, its key, and
// the authority that others' certificates are to come from, in PEM form. Keys of authorities stay in memory.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates. One goroutine at a time.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority that is valid for two days, from yesterday on.
func New() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	a.cert, err = a.sign(c, c, &key.PublicKey)
	return a, err
}

func (a *Authority) sign(c, parent *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Issue writes the files of a node into a directory, in place of those that are there. The name is a URI if it has a scheme, a DNS name
// otherwise. The certificate is valid from two hours ago on.
func (a *Authority) Issue(dir, name string, until time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ignored"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if u, err := url.Parse(name); err == nil && u.Scheme != "" {
		c.URIs = []*url.URL{u}
	} else {
		c.DNSNames = []string{name}
	}
	signed, err := a.sign(c, a.cert, &key.PublicKey)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{CertFile(dir), "CERTIFICATE", signed.Raw}, {KeyFile(dir), "EC PRIVATE KEY", der}, {CAFile(dir), "CERTIFICATE", a.cert.Raw}} {
		if err := os.WriteFile(f.name, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// CertFile is where a node's certificate is.
func CertFile(dir string) string { return filepath.Join(dir, "cert.pem") }

// KeyFile is where a node's key is.
func KeyFile(dir string) string { return filepath.Join(dir, "key.pem") }

// CAFile is where the authority's certificate is.
func CAFile(dir string) string { return filepath.Join(dir, "ca.pem") }
