package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// invocation is one run of the command-line client.
type invocation struct {
	*client
	flags   *flag.FlagSet
	servers string
	timeout time.Duration
	// Flags of single commands.
	consistency, ifValue, after string
	ifVersion, limit, minIndex  uint64
	once, remove, values        bool

	in          io.Reader
	out, errOut io.Writer
}

// clientCommands are the client's commands: flags, number of arguments, and what they do.
var clientCommands = map[string]struct {
	flags    func(*invocation)
	min, max int
	run      func(*invocation, context.Context, []string) error
}{
	"get":      {(*invocation).readFlags, 1, 1, (*invocation).get},
	"put":      {(*invocation).writeFlags, 1, 2, (*invocation).put},
	"cas":      {(*invocation).casFlags, 1, 2, (*invocation).cas},
	"delete":   {(*invocation).writeFlags, 1, 1, (*invocation).delete},
	"list":     {(*invocation).listFlags, 0, 1, (*invocation).list},
	"watch":    {(*invocation).watchFlags, 0, 1, (*invocation).watch},
	"members":  {nil, 0, 2, (*invocation).members},
	"transfer": {nil, 0, 1, (*invocation).transfer},
	"snapshot": {nil, 0, 0, (*invocation).snapshot},
	"status":   {nil, 0, 0, (*invocation).status},
}

// clientCommand runs a command of the client.
func clientCommand(ctx context.Context, name string, args []string, in io.Reader, out, errOut io.Writer) error {
	c, ok := clientCommands[name]
	if !ok {
		return fmt.Errorf("%w: no command %q", errUsage, name)
	}
	i := &invocation{flags: flag.NewFlagSet(name, flag.ContinueOnError), in: in, out: out, errOut: errOut}
	servers := os.Getenv("KV_SERVERS")
	if servers == "" {
		servers = "http://127.0.0.1:8001"
	}
	i.flags.StringVar(&i.servers, "servers", servers, "URLs of nodes, with commas between; default $KV_SERVERS")
	i.flags.DurationVar(&i.timeout, "timeout", 15*time.Second, "how long to try")
	if c.flags != nil {
		c.flags(i)
	}
	if err := parse(i.flags, args, errOut, c.min, c.max); err != nil {
		return err
	}
	i.client = &client{servers: split(i.servers)}
	if len(i.client.servers) == 0 {
		return fmt.Errorf("%w: -servers names none", errUsage)
	}
	if name != "watch" {
		limited, cancel := context.WithTimeout(ctx, i.timeout)
		defer cancel()
		ctx = limited
	}
	if i.once {
		if err := i.begin(ctx); err != nil {
			return err
		}
		defer i.endSession(ctx)
	}
	return c.run(i, ctx, i.flags.Args())
}

func (i *invocation) readFlags() {
	i.flags.StringVar(&i.consistency, "consistency", linearizable, "linearizable, leader or local")
	i.flags.Uint64Var(&i.minIndex, "min-index", 0, "of a local read: wait until the node has applied this index")
}

func (i *invocation) writeFlags() {
	i.flags.BoolVar(&i.once, "once", false, "write in a session, so that it is applied once however often it is sent")
}

func (i *invocation) casFlags() {
	i.writeFlags()
	i.flags.Uint64Var(&i.ifVersion, "if-version", 0, "version that the key must have; 0: it must not be there")
	i.flags.StringVar(&i.ifValue, "if-value", "", "value that the key must have")
	i.flags.BoolVar(&i.remove, "delete", false, "delete the key instead of setting it")
}

func (i *invocation) listFlags() {
	i.readFlags()
	i.flags.StringVar(&i.after, "after", "", "begin behind this key")
	i.flags.Uint64Var(&i.limit, "limit", 100, "at most so many keys")
	i.flags.BoolVar(&i.values, "values", false, "show values, too")
}

func (i *invocation) watchFlags() {
	i.flags.StringVar(&i.after, "after", "", "begin behind this index of the log, instead of now")
}

// readQuery are the parameters of a read.
func (i *invocation) readQuery() url.Values {
	q := url.Values{"consistency": {i.consistency}}
	if i.minIndex > 0 {
		q.Set("min_index", fmt.Sprint(i.minIndex))
	}
	return q
}

func (i *invocation) get(ctx context.Context, args []string) error {
	body, _, err := i.do(ctx, call{method: http.MethodGet, path: keyPath(args[0]), query: i.readQuery(), read: true})
	if err != nil {
		return err
	}
	_, err = i.out.Write(body)
	return err
}

// value is the last argument, or without it the standard input.
func (i *invocation) value(args []string) ([]byte, error) {
	if len(args) == 2 {
		return []byte(args[1]), nil
	}
	return io.ReadAll(io.LimitReader(i.in, maxValue+1)) // one byte too many is for the server to refuse
}

func (i *invocation) put(ctx context.Context, args []string) error {
	value, err := i.value(args)
	if err != nil {
		return err
	}
	return i.print(ctx, call{method: http.MethodPut, path: keyPath(args[0]), body: value})
}

func (i *invocation) delete(ctx context.Context, args []string) error {
	return i.print(ctx, call{method: http.MethodDelete, path: keyPath(args[0])})
}

func (i *invocation) cas(ctx context.Context, args []string) error {
	body := comparison{Key: args[0], Delete: i.remove}
	i.flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "if-version":
			v := raft.Index(i.ifVersion)
			body.IfVersion = &v
		case "if-value":
			body.IfValue = &i.ifValue
		}
	})
	if !i.remove {
		value, err := i.value(args)
		if err != nil {
			return err
		}
		body.Text = textOf(value)
	}
	return i.post(ctx, "/v1/cas", body)
}

func (i *invocation) list(ctx context.Context, args []string) error {
	q := i.readQuery()
	q.Set("prefix", strings.Join(args, ""))
	q.Set("after", i.after)
	q.Set("limit", fmt.Sprint(i.limit))
	q.Set("values", fmt.Sprint(i.values))
	return i.print(ctx, call{method: http.MethodGet, path: "/v1/keys", query: q, read: true})
}

func (i *invocation) members(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		return i.print(ctx, call{method: http.MethodGet, path: "/v1/members", read: true})
	case len(args) == 2 && args[0] == "add":
		return i.post(ctx, "/v1/members", nodeBody{args[1]})
	case len(args) == 2 && args[0] == "remove":
		return i.print(ctx, call{method: http.MethodDelete, path: "/v1/members/" + url.PathEscape(args[1])})
	}
	return fmt.Errorf("%w: members, members add NODE, or members remove NODE", errUsage)
}

func (i *invocation) transfer(ctx context.Context, args []string) error {
	return i.post(ctx, "/v1/transfer", nodeBody{strings.Join(args, "")})
}

func (i *invocation) snapshot(ctx context.Context, _ []string) error {
	return i.print(ctx, call{method: http.MethodPost, path: "/v1/snapshot"})
}

func (i *invocation) status(ctx context.Context, _ []string) error {
	return i.print(ctx, call{method: http.MethodGet, path: "/status.json", read: true})
}

func (i *invocation) post(ctx context.Context, path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return i.print(ctx, call{method: http.MethodPost, path: path, body: body})
}

// print shows the answer to a call, which is JSON.
func (i *invocation) print(ctx context.Context, x call) error {
	body, _, err := i.do(ctx, x)
	if err != nil {
		return err
	}
	_, err = i.out.Write(body)
	return err
}
