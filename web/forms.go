package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// needed is a form field that must not be empty.
func needed(r *http.Request, name, otherwise string) (string, error) {
	v := strings.TrimSpace(r.PostForm.Get(name))
	if v == "" {
		return "", &failure{status: http.StatusUnprocessableEntity, text: otherwise}
	}
	return v, nil
}

// localTime reads what a datetime-local field sends, in the zone of the screens.
// An empty field is the zero time.
func (s *server) localTime(v string) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04", v, s.zone)
	if err != nil {
		return time.Time{}, &failure{status: http.StatusUnprocessableEntity, text: "Die Zeit bitte als Datum und Uhrzeit angeben, zum Beispiel 24.04.2023 22:00."}
	}
	return t, nil
}

// sortedKeys are the keys of a map in order.
func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
