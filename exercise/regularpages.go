package exercise

import (
	"io"
	"net/http"
	"path/filepath"
	"sync"
)

// PagesBook is what the regular pages took in, in the directory of the regular systems.
const PagesBook = "pages.csv"

var pageColumns = []string{"placement", "key", "receipt", "entry"}

// lostPageAnswers is how rare lost answers are: one of so many new entries that a
// gateway delivers is booked, and the answer lost.
const lostPageAnswers = 20

// pageDesk takes what visitors enter on regular pages. What comes with an
// idempotency key is booked once, however often it comes.
type pageDesk struct {
	book *book

	mu    sync.Mutex
	known map[string]bool // placement and key
	count int
}

func openPageDesk(dir string) (*pageDesk, error) {
	b, lines, err := openBook(dir, PagesBook, pageColumns)
	if err != nil {
		return nil, err
	}
	d := &pageDesk{book: b, known: map[string]bool{}}
	for _, l := range lines {
		d.known[l[0]+" "+l[1]] = true
	}
	return d, nil
}

// take books an entry durably; lost says that its answer is to be lost.
func (d *pageDesk) take(r *http.Request, placement string) (lost bool, err error) {
	entry, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if key != "" && d.known[placement+" "+key] {
		return false, nil
	}
	d.book.add(placement, key, r.Header.Get("X-Leitstand-Receipt"), string(entry))
	if key == "" {
		return false, nil // durable with the next step; nothing waits for it
	}
	if err := d.book.sync(); err != nil {
		return false, err
	}
	d.known[placement+" "+key] = true
	d.count++
	return d.count%lostPageAnswers == 0, nil
}

// readPages reads the book: how often each entry was booked, by placement and entry.
func readPages(dir string) (map[[2]string]int, error) {
	lines, err := readBook(filepath.Join(dir, PagesBook), pageColumns)
	if err != nil {
		return nil, err
	}
	out := map[[2]string]int{}
	for _, l := range lines {
		out[[2]string{l[0], l[3]}]++
	}
	return out, nil
}
