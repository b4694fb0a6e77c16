package main

import "encoding/json"

type signalTestCmd struct {
	roomFlags
	asFlag
	Note string `help:"What it is about, such as: first night shift."`
}

// Run raises a test alarm.
func (c *signalTestCmd) Run(a *app) error {
	return c.act(a, c.As, "alarm.test", map[string]string{"note": c.Note}, func(raw json.RawMessage) error { return sayAlarm(a, raw) })
}
