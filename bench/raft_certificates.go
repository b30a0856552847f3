package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// certificateFiles is where the certificates of a node are.
func certificateFiles(dir, node string) tcp.TLS {
	return tcp.TLS{CertFile: filepath.Join(dir, node+".pem"), KeyFile: filepath.Join(dir, node+".key"), CAFile: filepath.Join(dir, "ca.pem")}
}

// writeCertificates makes an authority for a day, which signs one certificate for each node and is forgotten.
func writeCertificates(dir string, nodes ...string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "bench"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	parent, parentKey, err := signCertificate(ca, ca, nil)
	if err != nil {
		return err
	}
	if err := writePEM(certificateFiles(dir, "").CAFile, "CERTIFICATE", parent); err != nil {
		return err
	}
	for _, n := range nodes {
		der, key, err := signCertificate(&x509.Certificate{DNSNames: []string{n},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, ca, parentKey)
		if err != nil {
			return err
		}
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return err
		}
		f := certificateFiles(dir, n)
		if err := writePEM(f.CertFile, "CERTIFICATE", der); err != nil {
			return err
		}
		if err := writePEM(f.KeyFile, "EC PRIVATE KEY", private); err != nil {
			return err
		}
	}
	return nil
}

// signCertificate draws a key and has it signed by another one, by itself when that is nil.
func signCertificate(c, parent *x509.Certificate, by *ecdsa.PrivateKey) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = key
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, nil, err
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err = x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	return der, key, err
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
