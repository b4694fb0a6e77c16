package exercise

import (
	"context"
	"net/http"
	"time"

	"leitstand/emergency/sicknote"
)

// employerDesk is where employers of an exercise ask: the handler of the
// sick-note service on a port of its own.
type employerDesk struct {
	server *http.Server
	addr   string
	done   chan struct{} // closed when the server has ended
}

func startEmployerDesk(ctx context.Context, p *player, token string) (*employerDesk, error) {
	l, err := listenLoopback(ctx, "")
	if err != nil {
		return nil, err
	}
	d := &employerDesk{addr: l.Addr().String(), done: make(chan struct{})}
	d.server = &http.Server{Handler: p.room.Intake.EmployerHandler(&sicknote.Employers{Tokens: EmployerTokens(token)}, p.room.Now), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(d.done)
		_ = d.server.Serve(l) // ends with an error when stopped, always
	}()
	return d, nil
}

func (d *employerDesk) stop() error {
	err := d.server.Close()
	<-d.done
	return err
}
