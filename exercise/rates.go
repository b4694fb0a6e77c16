package exercise

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"leitstand/warning"
)

// DetectionRates say how well rules tell attacks from daily life in invented
// traffic. They hold for this traffic; a real network has other habits.
type DetectionRates struct {
	Events      int           `json:"events"`
	Attacks     int           `json:"attacks"`
	Detected    int           `json:"detected"`
	Rate        float64       `json:"detection_rate"`     // of attacks above the thresholds
	Slow        int           `json:"slow_attacks"`       // below the thresholds of their rule
	SlowFound   int           `json:"slow_detected"`      //
	FalseAlarms int           `json:"false_alarms"`       // signals that no attack explains
	PerDay      float64       `json:"false_per_day"`      //
	PerHostDay  float64       `json:"false_per_host_day"` //
	PerMillion  float64       `json:"false_per_million"`  // events
	Patterns    []PatternRate `json:"patterns"`           //
	False       []FalseAlarm  `json:"false_by_rule"`      //
	Seconds     float64       `json:"seconds"`            // for all events, one core
	PerSecond   float64       `json:"events_per_second"`  //
	Days        float64       `json:"days"`               //
	Hosts       int           `json:"hosts"`              //
	Missed      []string      `json:"missed,omitempty"`   // patterns above the thresholds
	Signals     int           `json:"signals"`            // all, grouped as the room groups them
}

// PatternRate is one pattern of attack.
type PatternRate struct {
	Pattern  string `json:"pattern"`
	Rule     string `json:"rule"`
	Slow     bool   `json:"slow,omitempty"`
	Attacks  int    `json:"attacks"`
	Detected int    `json:"detected"`
}

// FalseAlarm counts false alarms of a rule.
type FalseAlarm struct {
	Rule  string `json:"rule"`
	Title string `json:"title"`
	Count int    `json:"count"`
}

// told is a signal as the room would group it.
type told struct {
	rule, title, text string
	first, last       time.Time
}

// Rate lets rules see traffic and compares what they say with the answers.
func Rate(rules *warning.Rules, t LogTraffic) DetectionRates {
	d := rules.NewDetector(warning.DetectorOptions{})
	began := time.Now()
	var signals []*told
	open := map[[2]string]*told{}
	for _, l := range t.Lines {
		for _, h := range d.Line([]byte(l.Text), l.At) {
			key := [2]string{h.Rule.ID, h.Group}
			s := open[key]
			if s == nil || l.At.Sub(s.last) > time.Hour {
				s = &told{rule: h.Rule.ID, title: h.Rule.Title, first: l.At}
				open[key] = s
				signals = append(signals, s)
			}
			s.last = l.At
			if len(s.text) < 1<<16 {
				s.text += h.Group + "\n" + strings.Join(h.Events, "\n") + "\n"
			}
		}
	}
	r := DetectionRates{Events: len(t.Lines), Seconds: time.Since(began).Seconds(), Days: t.Days, Hosts: t.Hosts, Signals: len(signals)}
	r.PerSecond = float64(r.Events) / r.Seconds
	r.compare(signals, t.Attacks)
	return r
}

func (r *DetectionRates) compare(signals []*told, attacks []LogAttack) {
	explained := map[*told]bool{}
	patterns := map[string]*PatternRate{}
	for _, a := range attacks {
		p := patterns[a.Pattern]
		if p == nil {
			p = &PatternRate{Pattern: a.Pattern, Rule: a.Rule, Slow: a.Slow}
			patterns[a.Pattern] = p
		}
		p.Attacks++
		found := false
		for _, s := range signals {
			if !strings.Contains(s.text, a.Token) {
				continue
			}
			explained[s] = true // whatever rule it is: it tells of an attack
			found = found || s.rule == a.Rule && !s.first.Before(a.From) && s.first.Before(a.To)
		}
		if found {
			p.Detected++
		}
	}
	for _, p := range patterns {
		r.Patterns = append(r.Patterns, *p)
		if p.Slow {
			r.Slow, r.SlowFound = r.Slow+p.Attacks, r.SlowFound+p.Detected
			continue
		}
		r.Attacks, r.Detected = r.Attacks+p.Attacks, r.Detected+p.Detected
		if p.Detected < p.Attacks {
			r.Missed = append(r.Missed, p.Pattern)
		}
	}
	slices.Sort(r.Missed)
	slices.SortFunc(r.Patterns, func(a, b PatternRate) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Pattern, b.Pattern))
	})
	r.Rate = float64(r.Detected) / float64(max(1, r.Attacks))
	byRule := map[string]*FalseAlarm{}
	for _, s := range signals {
		if explained[s] {
			continue
		}
		if byRule[s.rule] == nil {
			byRule[s.rule] = &FalseAlarm{Rule: s.rule, Title: s.title}
		}
		byRule[s.rule].Count++
		r.FalseAlarms++
	}
	for _, f := range byRule {
		r.False = append(r.False, *f)
	}
	slices.SortFunc(r.False, func(a, b FalseAlarm) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Rule, b.Rule)) })
	r.PerDay = float64(r.FalseAlarms) / max(r.Days, 1)
	r.PerHostDay = r.PerDay / float64(max(1, r.Hosts))
	r.PerMillion = 1e6 * float64(r.FalseAlarms) / float64(max(1, r.Events))
}
