package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"leitstand/warning"
	"leitstand/warning/logbus"
)

type busCmd struct {
	Setup  busSetupCmd  `cmd:"" help:"Make the streams of a bus. Made again with the same settings it changes nothing."`
	Worker busWorkerCmd `cmd:"" help:"Work: match what is on the bus and correlate it, together with all other workers. A room takes the hits in as a source of kind bus."`
	Send   busSendCmd   `cmd:"" help:"Put lines of files or of standard input on the bus. Exit 0 when the bus has them all."`
	Status busStatusCmd `cmd:"" help:"Who works on what, what waits, what was counted."`
}

type busFlags struct {
	URL    string `help:"nats://host:4222 or tls://host:4222; several with commas." name:"url" default:"nats://127.0.0.1:4222" env:"LEITSTAND_BUS"`
	Prefix string `help:"Of streams and subjects." default:"leitstand"`
	Creds  string `help:"File with credentials." placeholder:"FILE"`
	Token  string `help:"File with a token and nothing else." name:"token-file" env:"LEITSTAND_BUS_TOKEN_FILE" placeholder:"FILE"`
	CA     string `help:"Authority of the bus's certificate, or that itself, PEM: nothing else is trusted." name:"ca" placeholder:"FILE"`
	Cert   string `help:"Our certificate, PEM." placeholder:"FILE"`
	Key    string `help:"Its key, PEM." placeholder:"FILE"`
}

func (f busFlags) connect(patient bool) (*logbus.Bus, error) {
	c := logbus.Config{URL: f.URL, Prefix: f.Prefix, Creds: f.Creds, CA: f.CA, Cert: f.Cert, Key: f.Key}
	if f.Token != "" {
		text, err := os.ReadFile(f.Token)
		if err != nil {
			return nil, fmt.Errorf("reading the token for the bus: %w", err)
		}
		if c.Token = strings.TrimSpace(string(text)); c.Token == "" {
			return nil, fmt.Errorf("the file %q for the token of the bus is empty", f.Token)
		}
	}
	return logbus.Connect(c, patient)
}

type busSetupCmd struct {
	busFlags
	Partitions int           `help:"Parts that the load is divided into: at least one for each worker there may ever be. Cannot be changed later." default:"12"`
	Replicas   int           `help:"Copies of each stream: 3 or 5 on a cluster." default:"1"`
	Keep       time.Duration `help:"How long logs are kept: longer than any timespan of correlations, and than workers may be away." default:"72h"`
	MaxGB      float64       `help:"Logs that may lie on the bus; then senders are refused and keep what they have. 0: no limit." name:"max-gb" default:"0"`
	Late       time.Duration `help:"How much the events of one partition may be out of order. Correlations are told so much later." default:"30s"`
}

// Run makes the streams.
func (c *busSetupCmd) Run(a *app) error {
	b, err := c.connect(false)
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Make(a.ctx, logbus.Setup{Partitions: c.Partitions, Replicas: c.Replicas, Keep: c.Keep, MaxBytes: int64(c.MaxGB * 1e9), Late: c.Late})
}

type busWorkerCmd struct {
	busFlags
	Name  string        `help:"Of this worker; default: host and process."`
	Rules []string      `help:"Sigma rules beside the built-in ones: directories, zip files or files. The same for all workers." placeholder:"DIR|ZIP"`
	Zone  string        `help:"Where night is night." default:"Europe/Berlin"`
	Lease time.Duration `help:"After how long without a sign of life others take over. The same for all workers." default:"10s"`
}

// Run works until it is stopped; then others go on at once.
func (c *busWorkerCmd) Run(a *app) error {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return fmt.Errorf("zone %q: %w", c.Zone, err)
	}
	more := warning.RuleFiles{Licenses: warning.Licenses{}}
	for _, name := range c.Rules {
		if err := more.Add(name); err != nil {
			return err
		}
	}
	rules, err := warning.CompileRules(more, nil)
	if err != nil {
		return err
	}
	for _, p := range rules.Problems {
		fmt.Fprintf(a.stderr, "leitstand: not usable: %s\n", plain(p.Error()))
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("naming the worker: %w", err)
		}
		c.Name = fmt.Sprintf("%.40s-%d", strings.ReplaceAll(host, ".", "-"), os.Getpid())
	}
	b, err := c.connect(true)
	if err != nil {
		return err
	}
	defer b.Close()
	w, err := b.NewWorker(logbus.Options{Name: c.Name, Rules: rules, Zone: zone, Lease: c.Lease, Log: slog.New(slog.NewTextHandler(a.stderr, nil))})
	if err != nil {
		return err
	}
	return w.Run(a.ctx)
}

type busSendCmd struct {
	busFlags
	Origin string   `help:"What the lines come from, such as a host: lines of one origin keep their order. Default: the source's name." placeholder:"NAME"`
	Source []string `arg:"" help:"Files with lines: text or JSON; - is standard input, also one that goes on."`
}

// Run sends and says how many lines the bus has.
func (c *busSendCmd) Run(a *app) error {
	b, err := c.connect(false)
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := b.NewSender(a.ctx)
	if err != nil {
		return err
	}
	for _, name := range c.Source {
		if err = c.send(a, s, name); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	last, stop := context.WithTimeout(context.WithoutCancel(a.ctx), 30*time.Second)
	defer stop()
	n, err2 := s.Flush(last)
	fmt.Fprintf(a.stderr, "%d lines are on the bus\n", n)
	return errors.Join(err, err2)
}

func (c *busSendCmd) send(a *app, s *logbus.Sender, name string) (err error) {
	src := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		src = f
	}
	origin := c.Origin
	if origin == "" {
		origin = name
	}
	r := bufio.NewReaderSize(src, 64<<10)
	for n := 1; ; n++ {
		line, cut, err := readLine(r, maxTextLine)
		if cut {
			return fmt.Errorf("line %d: longer than %d bytes", n, maxTextLine)
		}
		if bad := s.Add(a.ctx, origin, line); bad != nil {
			return fmt.Errorf("line %d: %w", n, bad)
		}
		if errors.Is(err, io.EOF) || a.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if r.Buffered() == 0 { // nothing more now: what came must not wait
			if _, err := s.Flush(a.ctx); err != nil {
				return err
			}
		}
	}
}

type busStatusCmd struct {
	busFlags
	JSON bool `help:"One JSON object." name:"json"`
}

// Run prints how the bus stands.
func (c *busStatusCmd) Run(a *app) error {
	b, err := c.connect(false)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, stop := context.WithTimeout(a.ctx, 30*time.Second)
	defer stop()
	s, err := b.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(s)
	}
	for _, w := range s.Workers {
		fmt.Fprintf(a.stdout, "worker %s holds %d, last sign of life %s\n", plain(w.Name), w.Held, local(w.At))
	}
	for _, list := range []struct {
		name  string
		parts []logbus.PartitionStatus
	}{{"log", s.Logs}, {"groups", s.Groups}} {
		fmt.Fprintf(a.stdout, "%-8s %4s %-24s %10s %12s %8s %6s %6s %6s %8s %8s\n", list.name, "part", "worker", "waiting", "events", "hits", "late", "gaps", "again", "unknown", "no time")
		for _, p := range list.parts {
			fmt.Fprintf(a.stdout, "%-8s %4d %-24s %10d %12d %8d %6d %6d %6d %8d %8d\n", "", p.Partition, plain(p.Worker), p.Waiting, p.Events, p.Hits, p.Late, p.Gaps, p.Again, p.Unknown, p.NoTime)
		}
	}
	for name, st := range s.Streams {
		fmt.Fprintf(a.stdout, "stream %s: %d messages, %.1f MB, %.0f %% of its limit\n", name, st.Messages, float64(st.Bytes)/1e6, st.Full)
	}
	return nil
}
