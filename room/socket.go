package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"leitstand/base/db"
)

const (
	socketName = "room.sock"
	maxAct     = 16 << 20

	socketDrain  = 2 * time.Second // how long acts may stay under way when the room stops
	socketLinger = 50 * time.Millisecond
)

// maxSocketPath is what fits into sun_path of every system that we run on.
const maxSocketPath = 103

// socketPath is where the command socket of a data directory is reached. Paths
// that are too long for a socket address go by way of an open directory, which
// Linux has a short name for; release gives that up and is never nil.
func socketPath(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return path, func() {}, fmt.Errorf("%q: %w", dir, ErrNoRoom)
	}
	if err != nil {
		return path, func() {}, fmt.Errorf("opening the data directory: %w", err)
	}
	short := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(short); err != nil {
		_ = f.Close() // only read
		return path, func() {}, fmt.Errorf("the path of the data directory is too long for its command socket (%d characters, %d fit): use a shorter one", len(path), maxSocketPath)
	}
	return filepath.Join(short, socketName), func() { _ = f.Close() }, nil
}

// answer is what goes over the socket.
type answer struct {
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Failure        `json:"error,omitempty"`
	Refused bool            `json:"refused,omitempty"`
}

// ServeSocket answers the commands of this machine's user until ctx ends. The
// socket lies in the data directory, which only its owner can enter.
func (r *Room) ServeSocket(ctx context.Context) error {
	name, release, err := socketPath(r.opt.Data)
	if err != nil {
		return err
	}
	defer release()
	_ = os.Remove(name) // we own the directory: an old socket is a leftover
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", name)
	if err != nil {
		return fmt.Errorf("listening for commands: %w", err)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return errors.Join(fmt.Errorf("protecting the command socket: %w", err), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /act", r.serveAct)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), socketDrain)
		defer cancel()
		_ = os.Remove(name)      // nobody new finds it,
		time.Sleep(socketLinger) // and who has found it is let in
		_ = srv.Shutdown(drain)  // acts under way are finished; what takes longer is cut off
		_ = srv.Close()
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving commands: %w", err)
	}
	<-drained
	return nil
}

func (r *Room) serveAct(w http.ResponseWriter, req *http.Request) {
	var a Act
	var out answer
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxAct)).Decode(&a)
	if err == nil {
		out, err = r.answer(req.Context(), a)
	}
	if err != nil {
		out = answer{Error: &Failure{Text: err.Error()}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the command is gone; the act is on record
}

func (r *Room) answer(ctx context.Context, a Act) (answer, error) {
	v, err := r.Do(ctx, a)
	if f, ok := errors.AsType[*Failure](err); ok {
		return answer{Error: f, Refused: true}, nil
	}
	if err != nil {
		return answer{}, err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return answer{}, fmt.Errorf("encoding the result of %q: %w", a.Name, err)
	}
	return answer{Result: raw}, nil
}

// Call carries an act out in the process that owns the data directory, or opens
// the room itself when nobody does. A refused act is a [*Failure].
func Call(ctx context.Context, opt Options, a Act) (json.RawMessage, error) {
	socket, release, err := socketPath(opt.Data)
	if err != nil {
		return nil, err
	}
	defer release()
	out, err := call(ctx, socket, a)
	if errors.Is(err, errNobody) {
		out, err = callHere(ctx, opt, a)
	}
	if errors.Is(err, db.ErrInUse) {
		return nil, fmt.Errorf("%w and answers no commands there: it is an exercise or another command, or it is just starting or stopping; try again when it is done", err)
	}
	return answered(out, err)
}

// CallServed carries an act out in the process that owns the data directory, and
// nowhere else.
func CallServed(ctx context.Context, data string, a Act) (json.RawMessage, error) {
	socket, release, err := socketPath(data)
	if err != nil {
		return nil, err
	}
	defer release()
	return answered(call(ctx, socket, a))
}

// answered is the result of an answer; a refused act is a [*Failure].
func answered(out answer, err error) (json.RawMessage, error) {
	switch {
	case err != nil:
		return nil, err
	case out.Error != nil && out.Refused:
		return nil, out.Error
	case out.Error != nil:
		return nil, errors.New(out.Error.Text)
	}
	return out.Result, nil
}

func callHere(ctx context.Context, opt Options, a Act) (out answer, err error) {
	r, err := Open(ctx, opt)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.answer(ctx, a)
}

// errNobody says that no process serves the directory.
var errNobody = errors.New("nobody serves the data directory")

func call(ctx context.Context, socket string, a Act) (answer, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, errors.Join(errNobody, err)
			}
			return conn, nil
		},
	}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(a)
	if err != nil {
		return answer{}, fmt.Errorf("encoding act %q: %w", a.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://room/act", bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("calling the room: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("calling the room: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	var out answer
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading the room's answer (the act may have been carried out: look before repeating it): %w", err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return answer{}, fmt.Errorf("reading the room's answer: %w", err)
	}
	return out, nil
}

// IsNobody says that a call reached no process: nothing was carried out.
func IsNobody(err error) bool { return errors.Is(err, errNobody) }
