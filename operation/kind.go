package operation

// Kind implements [Command].
func (*OrderCut) Kind() string { return "measure.ordered" }

// Kind implements [Command].
func (*ConfirmCut) Kind() string { return "measure.confirmed" }

// Kind implements [Command].
func (*UndoCut) Kind() string { return "measure.undone" }

// Kind implements [Command].
func (*ObserveFailure) Kind() string { return "failure.observed" }

// Kind implements [Command].
func (*RuleOutAttack) Kind() string { return "attack.ruled_out" }

// Kind implements [Command].
func (*BeginRebuild) Kind() string { return "rebuild.begun" }

// Kind implements [Command].
func (*EnterTrial) Kind() string { return "trial.entered" }

// Kind implements [Command].
func (*Accept) Kind() string { return "regular.accepted" }

// Kind implements [Command].
func (*Limit) Kind() string { return "regular.limited" }

// Kind implements [Command].
func (*Unlimit) Kind() string { return "regular.unlimited" }

// Kind implements [Command].
func (*PrepareEmergency) Kind() string { return "emergency.prepared" }

// Kind implements [Command].
func (*StartEmergency) Kind() string { return "emergency.started" }

// Kind implements [Command].
func (*ReportClosed) Kind() string { return "side.closed" }

// Kind implements [Command].
func (*ReportJournal) Kind() string { return "journal.reported" }

// Kind implements [Command].
func (*BeginHandover) Kind() string { return "handover.begun" }

// Kind implements [Command].
func (*ReturnToEmergency) Kind() string { return "handover.withdrawn" }

// Kind implements [Command].
func (*EndObservation) Kind() string { return "observation.ended" }

// Kind implements [Command].
func (*GrantClearance) Kind() string { return "clearance.granted" }

// Kind implements [Command].
func (*RevokeClearance) Kind() string { return "clearance.revoked" }

// Kind implements [Command].
func (*ProveRotation) Kind() string { return "rotation.proven" }

// Kind implements [Command].
func (*RecordIndicator) Kind() string { return "indicator.recorded" }

// Kind implements [Command].
func (*NameSubjects) Kind() string { return "subject.named" }

// Kind implements [Command].
func (*LiftFlag) Kind() string { return "flag.lifted" }

// Kind implements [Command].
func (*SetOwner) Kind() string { return "owner.set" }

// Kind implements [Command].
func (*ConfirmState) Kind() string { return "state.confirmed" }

// Kind implements [Command].
func (*SetBehaviour) Kind() string { return "behaviour.set" }

// Kind implements [Command].
func (*RegisterGateway) Kind() string { return "gateway.registered" }

// Kind implements [Command].
func (*RetireGateway) Kind() string { return "gateway.retired" }

// Kind implements [Command].
func (*Adopt) Kind() string { return "state.adopted" }

// Kind implements [Command].
func (*Tick) Kind() string { return "deadline.passed" }
