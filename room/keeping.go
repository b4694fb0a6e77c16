package room

import (
	"context"

	"leitstand/access"
)

// keepingActs are the acts of keeping a room: copies, machines, keys.
func keepingActs() map[string]handler {
	return map[string]handler{
		"backup":            doing(backup),
		"backup.test":       doing(testBackup),
		"backup.recipients": reading(recipients),
		"backup.seal-to":    doing(setRecipients),
		"copy.status":       reading(copyStatus),
		"takeover.status":   reading(writingStatus),
		"takeover.compare":  reading(compareFirst),
		"takeover.merge":    doing(askToMerge),

		"keys.status": reading(keyStatus),
		"keys.escrow": doing(escrow),
		"keys.rotate": doing(rotateKey),
		"keys.unlock": doing(unlockRoom),
		"keys.lock":   doing(lockRoom),
		"keys.share":  doing(shareKey),
		"keys.single": doing(singleKey),

		"clock.status":   reading(clockStatus),
		"clock.confirm":  doing(confirmClock),
		"entry.correct":  doing(correctEntry),
		"ledger.entries": reading(listEntries),
		"share.make":     doing(makeShare),
		"share.erase":    doing(askEraseKasse),

		"code.issue":    doing(issueCodes),
		"code.ask":      doing(askCode),
		"code.approve":  doing(approveByCode),
		"deputy.list":   reading(listDeputies),
		"deputy.name":   doing(nameDeputy),
		"deputy.begin":  doing(beginStandIn),
		"deputy.end":    doing(endStandIn),
		"role.handover": doing(handOverRoles),
	}
}

// decision carries out what two people have agreed to.
type decision func(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error)

// keepingDecisions are the kinds of consent about keeping a room.
func keepingDecisions() map[string]decision {
	return map[string]decision{
		askRecipients: approveRecipients,
		askMerge:      approveMerge,
		askHandOver:   approveHandOver,
		askRotate:     approveRotate,
		askKasseErase: approveEraseKasse,

		askTerms:        approveTerms,
		askBacklogOrder: approveBacklogOrder,
		askStepSkip:     approveStep,
		askStepStart:    approveStep,
	}
}
