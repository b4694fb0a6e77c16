package gateway

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"leitstand/catalogue"
	"leitstand/operation"
)

// Route says which requests belong to a placement, and where its regular system is.
type Route struct {
	Host      string                `json:"host"`   // without port, lower case
	Prefix    string                `json:"prefix"` // of the path, beginning with /
	Placement catalogue.PlacementID `json:"placement"`
	Kasse     string                `json:"kasse"`   // name, for people
	Service   string                `json:"service"` // name, for people
	Advice    string                `json:"advice"`  // what to do meanwhile
	Upstream  string                `json:"upstream"`
	// What a request must carry besides host and path, where several share them.
	IK   string `json:"ik,omitempty"`   // header X-Kasse-IK
	Cert string `json:"cert,omitempty"` // SHA-256 of the client's certificate, hexadecimal
	// Rate is how many requests a second a limited door lets through; 0: any number.
	Rate float64 `json:"rate,omitempty"`
}

// routeKey tells routes apart.
type routeKey struct{ host, prefix, ik, cert string }

func (r *Route) key() routeKey { return routeKey{r.Host, r.Prefix, r.IK, r.Cert} }

// Tester may reach the regular system while it is in trial. One of token and
// certificate is enough.
type Tester struct {
	Person string `json:"person"`
	Token  string `json:"token,omitempty"` // SHA-256 of the token in X-Leitstand-Tester, hexadecimal
	Cert   string `json:"cert,omitempty"`  // SHA-256 of the client's certificate, hexadecimal
}

// Orderer is a person who may move doors at a gateway without the room, with the
// public key that proves it.
type Orderer struct {
	Person string `json:"person"`
	Key    string `json:"key"` // ssh-ed25519, as in authorized_keys
}

// Door is a route with what its door does now.
type Door struct {
	Route
	Row operation.DoorRow `json:"row"`
}

// Table is all doors at one moment. It is never changed once a gateway has it.
type Table struct {
	Version int64    `json:"version"` // newest version of the doors in it
	Doors   []Door   `json:"doors"`
	Testers []Tester `json:"testers,omitempty"`
	// People may move doors here without the room. Without any, whoever may write
	// beside the table may, and is only named.
	People []Orderer `json:"people,omitempty"`
	// Keys are the public keys of Kassen, with which a gateway seals what it
	// keeps. They make it independent of the room's database.
	Keys map[catalogue.KasseID][]byte `json:"keys,omitempty"`
}

// NewTable joins routes with the doors of a room. A route without a door is an
// error: nobody may stand before a door that nobody decided on.
func NewTable(routes []Route, doors []*operation.DoorRow) (*Table, error) {
	by := map[catalogue.PlacementID]*operation.DoorRow{}
	for _, d := range doors {
		by[d.Placement] = d
	}
	t := &Table{}
	for _, r := range routes {
		d, ok := by[r.Placement]
		if !ok {
			return nil, fmt.Errorf("route %s%s leads to %q, which has no door", r.Host, r.Prefix, r.Placement)
		}
		t.Doors = append(t.Doors, Door{Route: r, Row: *d})
		t.Version = max(t.Version, d.Version)
	}
	return t, t.check()
}

// check refuses what could send a request astray, and sorts: longest prefix first.
func (t *Table) check() error {
	slices.SortStableFunc(t.Doors, func(a, b Door) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return cmp.Or(len(b.Prefix)-len(a.Prefix), b.conditions()-a.conditions(), strings.Compare(a.IK+a.Cert, b.IK+b.Cert))
	})
	for i, d := range t.Doors {
		if d.Host == "" || d.Host != strings.ToLower(d.Host) || !strings.HasPrefix(d.Prefix, "/") {
			return fmt.Errorf("route %q%q: want a host in lower case and a path prefix beginning with /", d.Host, d.Prefix)
		}
		if i > 0 && t.Doors[i-1].key() == d.key() {
			return fmt.Errorf("route %s%s stands in the table twice", d.Host, d.Prefix)
		}
		if d.Placement != d.Row.Placement {
			return fmt.Errorf("route %s%s leads to %q and has the door of %q", d.Host, d.Prefix, d.Placement, d.Row.Placement)
		}
		if !slices.Contains(operation.Modes(), d.Row.Mode) {
			return fmt.Errorf("route %s%s: door mode %d is not set", d.Host, d.Prefix, d.Row.Mode)
		}
		if u, err := url.Parse(d.Upstream); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("route %s%s: upstream %q is no http address", d.Host, d.Prefix, d.Upstream)
		}
	}
	return nil
}

func (r *Route) conditions() int {
	n := 0
	for _, c := range [...]string{r.IK, r.Cert} {
		if c != "" {
			n++
		}
	}
	return n
}

// find is the door of a request, -1 if there is none: longest prefix first, then
// the one with the most conditions. The host may carry a port.
func (t *Table) find(r *http.Request) int {
	host := plainHost(r.Host)
	path := r.URL.Path
	from, _ := slices.BinarySearchFunc(t.Doors, host, func(d Door, h string) int { return strings.Compare(d.Host, h) })
	cert := ""
	for i := from; i < len(t.Doors) && t.Doors[i].Host == host; i++ {
		d := &t.Doors[i]
		p := d.Prefix
		if path != p && (!strings.HasPrefix(path, p) || !strings.HasSuffix(p, "/") && path[len(p)] != '/') {
			continue
		}
		if d.IK != "" && r.Header.Get("X-Kasse-Ik") != d.IK {
			continue
		}
		if d.Cert != "" {
			if cert == "" {
				cert = fingerprint(r)
			}
			if cert != d.Cert {
				continue
			}
		}
		return i
	}
	return -1
}

// plainHost is a host without port and final dot, in lower case.
func plainHost(host string) string {
	if strings.IndexByte(host, ':') >= 0 {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// fingerprint is the SHA-256 of the certificate that the client proved to have,
// "-" without one.
func fingerprint(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return "-"
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

// tester reports whether a request comes from one of the people that a door
// names. All testers are compared, in constant time each.
func (t *Table) tester(r *http.Request, d *operation.DoorRow) bool {
	sum := sha256.Sum256([]byte(r.Header.Get("X-Leitstand-Tester")))
	token, cert := []byte(hex.EncodeToString(sum[:])), []byte(fingerprint(r))
	found := 0
	for _, x := range t.Testers {
		if slices.Contains(d.People, x.Person) {
			found |= subtle.ConstantTimeCompare(token, []byte(x.Token)) | subtle.ConstantTimeCompare(cert, []byte(x.Cert))
		}
	}
	return found == 1
}

// ErrDamaged says that a table file is not what was written.
var ErrDamaged = errors.New("the file of doors is damaged: it was not loaded, because a gateway must not guess; restore it from the ledger")

const fileHeader = "leitstand doors 1 sha256 "

// Save keeps the table so that a power cut leaves either the old or the new one:
// write new, sync, rename, sync the directory.
func (t *Table) Save(file string) error {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding the table of doors: %w", err)
	}
	sum := sha256.Sum256(body)
	content := append([]byte(fileHeader+hex.EncodeToString(sum[:])+"\n"), body...)
	if err := WriteDurably(file, content); err != nil {
		return fmt.Errorf("keeping the table of doors: %w", err)
	}
	return nil
}

// WriteDurably keeps a file so that a power cut leaves either the old or the new one.
func WriteDurably(file string, content []byte) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads a table that Save kept.
func Load(file string) (*Table, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the table of doors: %w", err)
	}
	head, body, ok := bytes.Cut(content, []byte("\n"))
	want, named := strings.CutPrefix(string(head), fileHeader)
	sum := sha256.Sum256(body)
	if !ok || !named || want != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%s: %w", file, ErrDamaged)
	}
	var t Table
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", file, ErrDamaged, err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", file, ErrDamaged, err)
	}
	return &t, nil
}
