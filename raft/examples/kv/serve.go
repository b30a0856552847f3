package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// stopPatience bounds an orderly stop: requests under way, handing over, and the node.
const stopPatience = 20 * time.Second

// serveFlags are those of a node's process.
type serveFlags struct {
	id, dir                    string
	raft, raftAdvertise        string
	http, url                  string
	peers, members             string
	join, verbose              bool
	cert, key, ca              string
	cookie                     string
	insecurePlaintext          bool
	httpListener, raftListener net.Listener
}

func parseServe(args []string, errOut io.Writer) (*serveFlags, error) {
	s := &serveFlags{}
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&s.id, "id", "", "name of the node, for all its lives")
	f.StringVar(&s.dir, "dir", "", "directory of its data, made if need be")
	f.StringVar(&s.raft, "raft", "127.0.0.1:0", "address to listen on for other nodes")
	f.StringVar(&s.raftAdvertise, "raft-advertise", "", "where other nodes find it, default -raft")
	f.StringVar(&s.http, "http", "127.0.0.1:0", "address to listen on for clients; there is no authentication")
	f.StringVar(&s.url, "url", "", "where clients find it, default made of -http")
	f.StringVar(&s.peers, "peers", "", "where nodes are: a=host:port,b=host:port")
	f.StringVar(&s.members, "members", "", "nodes of a new cluster, the same on all of them: a,b,c")
	f.BoolVar(&s.join, "join", false, "wait to be added to a cluster, when the directory is empty")
	f.StringVar(&s.cert, "cert", "", "certificate of the node, PEM")
	f.StringVar(&s.key, "key", "", "its key, PEM")
	f.StringVar(&s.ca, "ca", "", "authorities of nodes' certificates, PEM")
	f.StringVar(&s.cookie, "cookie", "kv", "keeps apart services whose addresses were mixed up")
	f.BoolVar(&s.insecurePlaintext, "insecure-plaintext", false, "talk to other nodes without TLS: whoever reaches the port can change everything")
	f.BoolVar(&s.verbose, "v", false, "log more")
	if err := parse(f, args, errOut, 0, 0); err != nil {
		return nil, err
	}
	if s.id == "" || s.dir == "" || s.join == (s.members != "") {
		return nil, fmt.Errorf("%w: -id, -dir, and either -members or -join are needed", errUsage)
	}
	return s, nil
}

// serve runs a node until ctx ends, and then stops it.
func serve(ctx context.Context, args []string, out, errOut io.Writer) error {
	f, err := parseServe(args, errOut)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level})
	if err := f.listen(); err != nil {
		return err
	}
	o, err := f.options(log)
	if err != nil {
		return errors.Join(err, f.raftListener.Close(), f.httpListener.Close())
	}
	s, err := openServer(o)
	if err != nil {
		return errors.Join(err, f.httpListener.Close())
	}
	fmt.Fprintf(out, "node %s: %s\n", o.ID, o.Own.URL)
	return s.run(ctx, f.httpListener)
}

// listen takes the ports, which are told to others then.
func (f *serveFlags) listen() (err error) {
	if f.httpListener, err = net.Listen("tcp", f.http); err != nil {
		return err
	}
	if f.raftListener, err = net.Listen("tcp", f.raft); err != nil {
		return errors.Join(err, f.httpListener.Close())
	}
	return nil
}

func (f *serveFlags) options(log slog.Handler) (serverOptions, error) {
	peers := map[raft.NodeID]string{}
	for _, p := range split(f.peers) {
		node, at, ok := strings.Cut(p, "=")
		if !ok {
			return serverOptions{}, fmt.Errorf("%w: -peers: %q is not of the form node=address", errUsage, p)
		}
		if node != f.id {
			peers[node] = at
		}
	}
	own := nodeAddress{Node: f.id, Raft: f.raftAdvertise, URL: f.url}
	if own.Raft == "" {
		own.Raft = f.raftListener.Addr().String()
	}
	if own.URL == "" {
		own.URL = "http://" + f.httpListener.Addr().String()
	}
	if len(own.Raft) > maxAddr || len(own.URL) > maxAddr {
		return serverOptions{}, fmt.Errorf("%w: addresses have at most %d bytes", errUsage, maxAddr)
	}
	book := newAddressBook(peers)
	t := tcp.Options{Listener: f.raftListener, Resolver: book, Cookie: f.cookie, Logger: slog.New(log), InsecurePlaintext: f.insecurePlaintext}
	if !f.insecurePlaintext {
		t.TLS = &tcp.TLS{CertFile: f.cert, KeyFile: f.key, CAFile: f.ca}
	}
	network := raft.OverTCP(t)
	return serverOptions{ID: f.id, Dir: f.dir, Network: network, TCP: network, Book: book, Own: own,
		Members: split(f.members), Join: f.join, Log: log}, nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// run serves HTTP until ctx ends, and then stops the server.
func (s *server) run(ctx context.Context, ln net.Listener) error {
	h := &http.Server{
		Handler: s.handler(), ErrorLog: slog.NewLogLogger(s.event, slog.LevelDebug), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: maxTimeout + 30*time.Second, IdleTimeout: 2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(ln) }() // ends with Shutdown, and is waited for
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		failed <- http.ErrServerClosed
	}
	s.log.Info("the node stops")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	s.drain()
	if bad := h.Shutdown(stopping); bad != nil {
		err = errors.Join(err, bad, h.Close())
	}
	if bad := <-failed; !errors.Is(bad, http.ErrServerClosed) {
		err = errors.Join(err, bad)
	}
	return errors.Join(err, s.close(stopping))
}
