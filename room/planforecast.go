package room

import (
	"sync"

	"leitstand/recovery"
)

// foretold says which forecast it is.
type foretold struct {
	plan string
	slot int
	runs int
	seed uint64
}

// forecasts keeps the last forecasts. Whoever asks for one that is being made waits for it.
type forecasts struct {
	mu   sync.Mutex
	made map[foretold]*recovery.Forecast
}

// mostForecasts is how many are kept.
const mostForecasts = 8

func (f *forecasts) get(key foretold, play func() (*recovery.Forecast, error)) (*recovery.Forecast, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.made[key]; ok {
		return v, nil
	}
	v, err := play()
	if err != nil {
		return nil, err
	}
	if f.made == nil || len(f.made) >= mostForecasts {
		f.made = map[foretold]*recovery.Forecast{}
	}
	f.made[key] = v
	return v, nil
}
