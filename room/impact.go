package room

import (
	"context"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
)

type impactArgs struct {
	Gone []string `json:"gone"` // Kassen, sites, services, components, environments, placements, by id or name
}

// ImpactPreview is what would follow if something were gone, in the room's present
// situation: what is off already, and what nobody knows.
type ImpactPreview struct {
	catalogue.Result
	Sentence  string               `json:"sentence"`
	From      time.Time            `json:"from"`
	Deadlines []catalogue.Deadline `json:"deadlines"`
	Diagram   catalogue.Diagram    `json:"diagram"`
}

func impact(_ context.Context, r *Room, a impactArgs) (ImpactPreview, error) {
	gone, err := catalogue.ParseSelection(r.Catalogue, a.Gone...)
	if err != nil {
		return ImpactPreview{}, err
	}
	now := r.Now().Truncate(time.Minute)
	res := catalogue.ImpactFrom(r.Catalogue, containment.Situation(r.Operation.Current(), now), gone)
	return ImpactPreview{
		Result: res, Sentence: res.Sentence(r.Catalogue), From: now,
		Deadlines: catalogue.Deadlines(r.Catalogue, res.Cells, now.In(containment.Zone())), Diagram: res.Diagram(r.Catalogue),
	}, nil
}
