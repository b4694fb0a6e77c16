package room

import (
	"context"
	"encoding/json"
	"fmt"

	"leitstand/access"
	"leitstand/recovery"
)

// Shown is what a request about keeping the room, or of a switch-back, binds the
// second person's consent to; ok is false for all other kinds.
func (r *Room) Shown(ctx context.Context, c access.Consent) (shown any, ok bool, err error) {
	switch c.Kind {
	case askRotate:
		shown, err = payload[rotateArgs](c)
	case askHandOver:
		shown, err = payload[handOverArgs](c)
	case askRecipients:
		var a recipientsArgs
		a, err = payload[recipientsArgs](c)
		shown = a.Recipients
	case askKasseErase:
		var a kasseEraseArgs
		if a, err = payload[kasseEraseArgs](c); err == nil {
			_, shown, err = r.eraseState(ctx, a.Kasse)
		}
	case askMerge:
		var a mergeArgs
		a, err = payload[mergeArgs](c)
		shown = a.Hash // of the report; approving makes it anew and compares
	case askDesk:
		var a deskArgs
		if a, err = payload[deskArgs](c); err != nil {
			return nil, true, err
		}
		shown, _, err = r.deskRelease(ctx, a)
	case askSwitchback:
		var a switchbackArgs
		if a, err = payload[switchbackArgs](c); err != nil {
			return nil, true, err
		}
		var s recovery.Switchback
		s, err = recovery.SwitchbackByID(ctx, r.Store, a.ID)
		shown = s.Statement()
	case askTerms:
		var a agreeArgs
		if a, err = payload[agreeArgs](c); err == nil {
			shown, err = r.shownTerms(ctx, r.Store, a)
		}
	case askBacklogOrder:
		shown, err = r.shownOrder(ctx, r.Store, c)
	case askStepSkip, askStepStart:
		var a stepArgs
		if a, err = payload[stepArgs](c); err == nil {
			shown, _, err = r.shownStep(ctx, c.Kind, a)
		}
	default:
		return nil, false, nil
	}
	return shown, true, err
}

func payload[T any](c access.Consent) (v T, err error) {
	if err := json.Unmarshal(c.Payload, &v); err != nil {
		return v, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	return v, nil
}
