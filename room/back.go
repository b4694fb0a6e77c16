package room

import (
	"context"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/forensics"
	"leitstand/operation"
)

// Cells are the cells as they are now.
func (r *Room) Cells() []operation.Cell {
	return operation.Cells(r.Operation.Current(), r.Now())
}

type clearanceArgs struct {
	forensics.Application
	Reason string `json:"reason,omitempty"`
}

// grantClearance asks a second signer.
func grantClearance(ctx context.Context, r *Room, as access.Person, a clearanceArgs) (access.Consent, error) {
	app, err := r.fromLists(ctx, a.Application)
	if err != nil {
		return access.Consent{}, err
	}
	cmd := &operation.GrantClearance{Application: app}
	cmd.Reason = a.Reason
	return askCommand(ctx, r, as, "Freigabe "+r.scopeWords(a.Scope), cmd)
}

// revokeClearance needs one person: what rests on it must go down.
func revokeClearance(ctx context.Context, r *Room, as access.Person, a idArgs) (Changed, error) {
	cmd := &operation.RevokeClearance{Clearance: a.ID}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

func clearances(_ context.Context, r *Room, _ none) ([]forensics.Clearance, error) {
	return r.Operation.Current().Clearances(), nil
}

type rotationArgs struct {
	Scope     forensics.Scope      `json:"scope"`
	Covers    []string             `json:"covers,omitempty"`
	Evidence  []forensics.Evidence `json:"evidence"`
	RotatedAt time.Time            `json:"rotated_at"`
	Reason    string               `json:"reason,omitempty"`
}

func proveRotation(ctx context.Context, r *Room, as access.Person, a rotationArgs) (Changed, error) {
	cmd := &operation.ProveRotation{Scope: a.Scope, Covers: a.Covers, Evidence: a.Evidence, RotatedAt: a.RotatedAt}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

// Changed is what an act changed: how many rows, and its ledger entry.
type Changed struct {
	Entry      int64 `json:"entry"`
	Placements int   `json:"placements"`
	Components int   `json:"components"`
}

// alone carries out a command that one person may do.
func alone(ctx context.Context, r *Room, as access.Person, cmd operation.Command) (Changed, error) {
	cmd.Sign(r.Now(), as)
	res, err := r.act(ctx, cmd, nil)
	if err != nil || res.Change == nil {
		return Changed{}, err
	}
	return Changed{Entry: res.Seq, Placements: len(res.Change.Placements), Components: len(res.Change.Components)}, nil
}

func beginRebuild(ctx context.Context, r *Room, as access.Person, a nodesArgs) (Changed, error) {
	cmd := &operation.BeginRebuild{Nodes: a.Nodes}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

func enterTrial(ctx context.Context, r *Room, as access.Person, a nodesArgs) (access.Consent, error) {
	cmd := &operation.EnterTrial{Nodes: a.Nodes, Testers: a.Testers}
	cmd.Reason = a.Reason
	return askCommand(ctx, r, as, "Probebetrieb für "+catalogue.Counted(len(a.Nodes), "eine Stelle", "%s Stellen"), cmd)
}

func accept(ctx context.Context, r *Room, as access.Person, a nodesArgs) (access.Consent, error) {
	if a.To == 0 {
		a.To = operation.Running
	}
	cmd := &operation.Accept{Nodes: a.Nodes, To: a.To, Paths: a.Paths}
	cmd.Reason = a.Reason
	if err := r.besideProtocol(ctx, cmd); err != nil {
		return access.Consent{}, err
	}
	return askCommand(ctx, r, as, "Abnahme von "+catalogue.Counted(len(a.Nodes), "einer Stelle", "%s Stellen"), cmd)
}

func confirmState(ctx context.Context, r *Room, as access.Person, a nodesArgs) (Changed, error) {
	cmd := &operation.ConfirmState{Nodes: a.Nodes, Saw: a.Saw}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

type placementsArgs struct {
	Placements []catalogue.PlacementID `json:"placements"`
	Reason     string                  `json:"reason"`
}

// prepareEmergency says that the emergency path of placements may start.
func prepareEmergency(ctx context.Context, r *Room, as access.Person, a placementsArgs) (Changed, error) {
	if err := r.listed(ctx, a.Placements); err != nil {
		return Changed{}, err
	}
	cmd := &operation.PrepareEmergency{Placements: a.Placements}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

// beginHandover ends intake: from now on what is there is handed over.
func beginHandover(ctx context.Context, r *Room, as access.Person, a placementsArgs) (Changed, error) {
	cmd := &operation.BeginHandover{Placements: a.Placements}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

// endObservation ends the time of tightened watching after acceptance.
func endObservation(ctx context.Context, r *Room, as access.Person, a placementsArgs) (Changed, error) {
	if err := r.observed(ctx, a.Placements); err != nil {
		return Changed{}, err
	}
	cmd := &operation.EndObservation{Placements: a.Placements}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}

// HandedOver is what one run of the handover of a placement did.
type HandedOver struct {
	Placement catalogue.PlacementID `json:"placement"`
	Counts    emergency.Counts      `json:"counts"`
	Agrees    bool                  `json:"agrees"` // both sides' books, once nothing is open
	Next      time.Time             `json:"next,omitzero"`
	Error     string                `json:"error,omitempty"`
	First     bool                  `json:"first,omitempty"` // of another cell: it is more urgent and went first
}

type closedArgs struct {
	Placements []catalogue.PlacementID `json:"placements"`
	Probe      string                  `json:"probe"`
	Reason     string                  `json:"reason"`
}

// reportClosed records a probe that people made themselves: from outside, the
// regular side of placements accepts no writes. Emergency operation begins with it.
func reportClosed(ctx context.Context, r *Room, as access.Person, a closedArgs) (Changed, error) {
	cmd := &operation.ReportClosed{Placements: a.Placements, Proof: operation.Proof{Kind: operation.ByProbe, Ref: a.Probe, At: r.Now()}}
	cmd.Reason = a.Reason
	return alone(ctx, r, as, cmd)
}
