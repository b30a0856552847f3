package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// asProgram in the environment makes the test's binary the program itself.
const asProgram = "KV_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// Wrong command lines are refused with a reason, and their own exit code.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"what"}, {"get"}, {"get", "a", "b"}, {"get", "-what", "a"}, {"put", "a", "b", "c"}, {"members", "add"}, {"members", "lose", "a"},
		{"get", "-servers", ",", "a"}, {"serve"}, {"serve", "-id", "a", "-dir", "d"}, {"serve", "-id", "a", "-dir", "d", "-join", "-members", "a"},
		{"serve", "-id", "a", "-dir", "d", "-join", "-peers", "b", "-insecure-plaintext"}, {"certify", "a"}, {"certify"}, {"demo", "a"},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &errOut); code != exitUsage || errOut.Len() == 0 {
			t.Errorf("%q: exit code %d, %s", args, code, errOut.String())
		}
	}
	for _, args := range [][]string{{"get", "-h"}, {"serve", "-help"}} {
		if code := run(t.Context(), args, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != exitDone {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	if code := run(t.Context(), []string{"certify", "-dir", t.TempDir(), "../x"}, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != exitFailed {
		t.Error("a node whose name leaves the directory:", code)
	}
}

// Without TLS, and without the flag that says so, a node does not start.
func TestServeWantsTLS(t *testing.T) {
	var errOut bytes.Buffer
	code := run(t.Context(), []string{"serve", "-id", "a", "-dir", t.TempDir(), "-members", "a"}, nil, &bytes.Buffer{}, &errOut)
	if code != exitFailed {
		t.Fatalf("exit code %d: %s", code, fmt.Sprint(errOut.String()))
	}
}
