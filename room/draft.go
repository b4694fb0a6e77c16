package room

import (
	"context"

	"leitstand/notice"
)

// ListDraft is the next version of the public list as it would be published now,
// with its differences to the last one; nothing is stored. The error is
// [notice.ErrNoChange] when the published list says it already.
func (r *Room) ListDraft(ctx context.Context, reason string) (notice.List, error) {
	return r.nextList(ctx, reason)
}
