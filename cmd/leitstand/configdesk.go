package main

import (
	"fmt"

	"leitstand/catalogue"
	"leitstand/emergency/desk"
	"leitstand/emergency/payment"
	"leitstand/room"
)

type desksConfig struct {
	Services []deskServiceConfig `yaml:"services" help:"Which services are served so."`
	Clients  []deskClientConfig  `yaml:"clients" help:"Workplaces and systems that may ask for payments and records. Contact needs none."`
	Most     int64               `yaml:"most_cents" default:"500000" help:"Above this amount (in cents) a payment needs the crisis lead."`
	Day      int64               `yaml:"day_cents" default:"50000000" help:"Above this sum of a Kasse's payments of 24 hours (in cents) a payment needs the crisis lead."`
	Blocked  []string            `yaml:"blocked_iban_sha256" help:"SHA-256 (hexadecimal) of accounts (IBAN in capitals without blanks) that get nothing."`
	Prefix   string              `yaml:"prefix" default:"/" help:"Prefix of the routes of doors with a form for messages."`
}

type deskServiceConfig struct {
	Service string `yaml:"service" required:"true" example:"zahl" help:"Service of the catalogue."`
	Is      string `yaml:"is" required:"true" example:"payment" help:"payment, record or contact."`
}

type deskClientConfig struct {
	Name        string   `yaml:"name" required:"true" example:"Leistung-7" help:"Name of the workplace; it goes into the ledger."`
	Kasse       string   `yaml:"kasse" required:"true" example:"\"109034270\"" help:"Kasse (IK) that it asks for, in quotes."`
	For         []string `yaml:"for" required:"true" example:"[payment]" help:"payment, record."`
	Token       string   `yaml:"token_sha256" help:"SHA-256 (hexadecimal) of the client's bearer token."`
	Certificate string   `yaml:"certificate_sha256" help:"SHA-256 (hexadecimal) of its client certificate. One of both is enough."`
}

// desks are the typed emergency services, nil when the file says nothing about them.
func (c *config) desks() (*room.DesksConfig, error) {
	if !c.says("desks") {
		return nil, nil //nolint:nilnil // there are none
	}
	d := c.Desks
	out := &room.DesksConfig{Services: map[catalogue.ServiceID]string{}, Payment: payment.Limits{Most: d.Most, Day: d.Day, Blocked: d.Blocked}, Prefix: d.Prefix}
	for i, s := range d.Services {
		id := catalogue.ServiceID(s.Service)
		if out.Services[id] != "" {
			return nil, c.wrong(fmt.Sprintf("desks.services[%d]", i), "service %q is there twice", s.Service)
		}
		out.Services[id] = s.Is
	}
	for _, k := range d.Clients {
		out.Clients = append(out.Clients, desk.Client{Name: k.Name, Kasse: catalogue.KasseID(k.Kasse), For: k.For, Token: k.Token, Certificate: k.Certificate})
	}
	if err := out.Check(); err != nil {
		return nil, c.wrong("desks", "%v", err)
	}
	return out, nil
}
