package room

import "sync"

// foretold says which forecast it is.
type foretold struct {
	plan string
	slot int
	runs int
	seed uint64
}

// kept keeps the last answers that took long to work out. Whoever asks for one that
// is being worked out waits for it; what failed is not kept.
type kept[K comparable, V any] struct {
	mu   sync.Mutex
	made map[K]V
}

// mostKept is how many answers of a kind are kept.
const mostKept = 8

func (k *kept[K, V]) get(key K, work func() (V, error)) (V, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, ok := k.made[key]; ok {
		return v, nil
	}
	v, err := work()
	if err != nil {
		return v, err
	}
	if k.made == nil || len(k.made) >= mostKept {
		k.made = map[K]V{}
	}
	k.made[key] = v
	return v, nil
}
