package room

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
)

// linkLife is how long a link for a further device may be used. The link that is
// printed at the start waits for its first use as long as the process lives.
const linkLife = 10 * time.Minute

// maxInside is how many devices may be inside at once; the oldest gives way.
const maxInside = 200

// Links admits devices to the control room as long as there are no logins: a
// link admits one device, once, and what the device keeps afterwards is another
// secret that never stood in an address. Only hashes are kept, and only in
// memory: a restart shuts everybody out.
type Links struct {
	mu      sync.Mutex
	address string
	open    map[[sha256.Size]byte]time.Time // links not yet used, and their end (zero: none)
	inside  map[[sha256.Size]byte]time.Time // devices, and since when
}

func hashed(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// First opens the door at address and returns the link of the start.
func (l *Links) First(address string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.address = address
	return l.issue(time.Time{})
}

// Further returns a link for one more device, which ends at the given time.
func (l *Links) Further(now time.Time) (link string, end time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address == "" {
		return "", time.Time{}, errors.New("no control room is open here; start it with: leitstand serve")
	}
	for h, until := range l.open {
		if !until.IsZero() && !now.Before(until) {
			delete(l.open, h)
		}
	}
	end = now.Add(linkLife)
	return l.issue(end), end, nil
}

func (l *Links) issue(end time.Time) string {
	if l.open == nil {
		l.open, l.inside = make(map[[sha256.Size]byte]time.Time), make(map[[sha256.Size]byte]time.Time)
	}
	token := rand.Text()
	l.open[hashed(token)] = end
	return fmt.Sprintf("http://%s/?token=%s", l.address, token)
}

// Redeem uses a link up and returns what its device shows from now on.
func (l *Links) Redeem(token string, now time.Time) (pass string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, known := l.open[hashed(token)]
	if !known || (!end.IsZero() && !now.Before(end)) {
		return "", false
	}
	delete(l.open, hashed(token))
	if len(l.inside) >= maxInside {
		oldest, first := [sha256.Size]byte{}, true
		for h, since := range l.inside {
			if first || since.Before(l.inside[oldest]) {
				oldest, first = h, false
			}
		}
		delete(l.inside, oldest)
	}
	pass = rand.Text()
	l.inside[hashed(pass)] = now
	return pass, true
}

// Knows says whether a pass is one that was given out and not taken back. It
// compares hashes, so that its time tells nothing about the secret.
func (l *Links) Knows(pass string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.inside[hashed(pass)]
	return ok
}

// Devices counts who is inside.
func (l *Links) Devices() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inside)
}

// OnlyMe shuts everybody out but the holder of pass, and ends all links.
func (l *Links) OnlyMe(pass string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since, ok := l.inside[hashed(pass)]
	clear(l.inside)
	clear(l.open)
	if ok {
		l.inside[hashed(pass)] = since
	}
}

// link is what a person with the command socket asks for.
type link struct {
	URL string    `json:"url"`
	End time.Time `json:"end"`
}

func newLink(_ context.Context, r *Room, _ none) (link, error) {
	url, end, err := r.Links.Further(time.Now())
	return link{URL: url, End: end}, err
}
