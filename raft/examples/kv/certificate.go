package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// Files of an authority, in its directory. A node's files lie in a directory of the node's name beside them.
const (
	authorityCert = "ca.pem"
	authorityKey  = "ca-key.pem"
	nodeCert      = "cert.pem"
	nodeKey       = "key.pem"
	validFor      = 365 * 24 * time.Hour
)

// nodeTLS says where certify puts a node's files.
func nodeTLS(dir, node string) *tcp.TLS {
	return &tcp.TLS{
		CertFile: filepath.Join(dir, node, nodeCert), KeyFile: filepath.Join(dir, node, nodeKey),
		CAFile: filepath.Join(dir, node, authorityCert),
	}
}

// certify gives a node a certificate of the directory's authority, which is made when there is none. Whoever can read that
// directory can make certificates: it is for trying things out.
func certify(dir, node string) error {
	if node != filepath.Base(node) || node == "." || node == ".." {
		return fmt.Errorf("kv: %q cannot be the name of a directory", node)
	}
	ca, key, err := authority(dir)
	if err != nil {
		return err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c, err := certificate(node)
	if err != nil {
		return err
	}
	c.DNSNames = []string{node}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &own.PublicKey, key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, node), 0o700); err != nil {
		return err
	}
	files := nodeTLS(dir, node)
	return errors.Join(writeKey(files.KeyFile, own), writePEM(files.CertFile, "CERTIFICATE", der), writePEM(files.CAFile, "CERTIFICATE", ca.Raw))
}

// authority reads the directory's authority, or makes it.
func authority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certDER, err := readPEM(filepath.Join(dir, authorityCert))
	if errors.Is(err, fs.ErrNotExist) {
		return newAuthority(dir)
	}
	keyDER, bad := readPEM(filepath.Join(dir, authorityKey))
	if err := errors.Join(err, bad); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	return cert, key, err
}

func newAuthority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c, err := certificate("kv authority")
	if err != nil {
		return nil, nil, err
	}
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	// The certificate comes last: with it the authority is there.
	if err := writeKey(filepath.Join(dir, authorityKey), key); err != nil {
		return nil, nil, err
	}
	return cert, key, writePEM(filepath.Join(dir, authorityCert), "CERTIFICATE", der)
}

// certificate is what all of them have in common.
func certificate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validFor),
	}, nil
}

func writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(name, "EC PRIVATE KEY", der)
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func readPEM(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("kv: %s is no PEM file", name)
	}
	return block.Bytes, nil
}
