package room

import (
	"fmt"
	"net/http"

	"leitstand/catalogue"
	"leitstand/emergency/contact"
	"leitstand/emergency/desk"
	"leitstand/emergency/payment"
	"leitstand/emergency/record"
	"leitstand/gateway"
)

// DesksConfig says which services have typed emergency services behind their doors, and
// who may ask them.
type DesksConfig struct {
	// Services says what stands behind the door of a service of the catalogue: payment,
	// record or contact.
	Services map[catalogue.ServiceID]string
	Clients  []desk.Client // of payment and record; contact needs none
	Payment  payment.Limits
	Prefix   string // of the routes of doors with a contact form; default /
}

// Check finds what is wrong without a catalogue.
func (c *DesksConfig) Check() error {
	for id, what := range c.Services {
		if what != deskPayment && what != deskRecord && what != deskContact {
			return fmt.Errorf("service %q: %q is none of payment, record, contact", id, what)
		}
	}
	if err := c.Payment.Check(); err != nil {
		return err
	}
	_, err := desk.NewClients(c.Clients)
	return err
}

// checkDesks also wants the services to be in the catalogue.
func (r *Room) checkDesks() (c DesksConfig, clients *desk.Clients, err error) {
	if r.opt.Desks == nil {
		return c, nil, nil
	}
	c = *r.opt.Desks
	for id := range c.Services {
		if _, ok := r.Catalogue.Service(id); !ok {
			return c, nil, fmt.Errorf("desks: service %q is not in the catalogue", id)
		}
	}
	if err := c.Check(); err != nil {
		return c, nil, fmt.Errorf("desks: %w", err)
	}
	clients, err = desk.NewClients(c.Clients)
	return c, clients, err
}

// The typed services.
const (
	deskPayment = "payment"
	deskRecord  = "record"
	deskContact = "contact"
)

// typedServices are the handlers of the configuration, by service.
func (r *Room) typedServices(out map[catalogue.ServiceID]http.Handler) error {
	c, clients, err := r.checkDesks()
	if err != nil {
		return err
	}
	for id, what := range c.Services {
		if out[id] != nil {
			return fmt.Errorf("desks: %q is answered for employers already", id)
		}
		d := &desk.Desk{Service: what, Journals: r.Journals, Clients: clients, Now: r.Now, Right: gateway.RightOf, Owner: r.heldBy, Log: r.opt.Log}
		switch what {
		case deskPayment:
			out[id] = desk.Mounted{Handler: payment.Handler(d, c.Payment)}
		case deskRecord:
			out[id] = desk.Mounted{Handler: record.Handler(d)}
		case deskContact:
			d.Clients = nil // everybody may
			out[id] = desk.Mounted{Handler: contact.Handler(d, c.Prefix), Pages: true}
		}
	}
	return nil
}
