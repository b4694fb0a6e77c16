// Package schedule plans work that competes for people and places: the
// resource-constrained project scheduling problem, from its textbook form
// (PS|prec|Cmax, the PSPLIB sets) to what bringing back services after an attack
// needs: shifts, releases, deadlines, several ways of doing a thing, minimal and
// maximal time lags, uncertain durations and examinations that may fail.
//
// There is one model, [Problem], and one judge, [Check]. Check reads the problem
// as a person would, slot by slot, and shares no code with the solvers. [Solve]
// never returns a plan that Check has not passed; a deadline or a maximal lag
// that could not be kept is no reason to return nothing, but the plan then says
// so in [Plan.Broken] and is not called feasible.
//
// Time is counted in whole slots from 0; what a slot is (an hour, a quarter of
// one) is the caller's choice. A task that starts in s and works d slots without
// a pause ends at s+d, and a successor may start in that very slot.
//
// With [Options].Schedules the result depends on the problem, the options and the
// seed alone, not on the machine, its speed or the number of its processors.
// Every pass that builds a schedule counts as one, justification passes included,
// as the literature does (Kolisch and Hartmann 2006). Without it Solve goes on
// until its context ends, uses all processors, and returns the best plan so far.
//
// Nothing here reads a file or the network; the clock only to share out the time
// until a context's deadline.
package schedule
