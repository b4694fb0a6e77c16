package kimmail

// Receive reads a mail as it lay in a mailbox, whichever form it has: it parses, and
// opens what a Clientmodul did not. outer is the mail as fetched, known as soon as its
// header could be read; opened.Inner is the mail to work with (outer itself if it came
// in clear). Of a mail in clear the findings are those of the Clientmodul; one that
// bears no result fields has passed none, which is a finding too. Errors are those of
// [Parse] and [Message.Open].
func Receive(raw []byte, lim Limits, opt Options) (outer *Message, opened *Opened, err error) {
	if outer, err = Parse(raw, lim); err != nil {
		return nil, nil, err
	}
	if outer.Form != FormClear {
		opened, err = outer.Open(opt)
		return outer, opened, err
	}
	opened = &Opened{Inner: outer}
	if !outer.Results.Present() {
		opened.add(FaultUnchecked, "the mail has passed no Clientmodul")
	}
	for _, f := range outer.Results.Faults() {
		opened.add(f, "reported by the Clientmodul")
	}
	return outer, opened, nil
}
