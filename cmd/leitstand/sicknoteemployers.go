package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"leitstand/emergency/sicknote"
	"leitstand/room"
)

// sicknoteEmployerCmds answer employers by files.
type sicknoteEmployerCmds struct {
	Answer   sicknoteAnswerCmd   `cmd:"" help:"Answer employers' requests that lie as JSON files. Stands in for eXTra over the GKV-Kommunikationsserver, whose schemas are not public."`
	FollowUp sicknoteFollowUpCmd `cmd:"" name:"follow-up" help:"Make the reports to employers that are due now, as a serving room does every minute."`
	Reports  sicknoteReportsCmd  `cmd:"" help:"What the Kasse reports to employers by itself: after codes 4 and 7, and after a Storno. Stands in for eXTra over the GKV-Kommunikationsserver."`
}

type sicknoteAnswerCmd struct {
	roomFlags
	asFlag
	Kasse string `arg:"" help:"IK."`
	In    string `arg:"" help:"File or folder of requests: JSON objects or lists of {datensatz_id, betriebsnummer, versichertennummer, abwesenheit_ab}." type:"path"`
	Out   string `arg:"" help:"Folder for the answers; one file NAME.antwort.json for each." type:"path"`
}

// Run answers requests of files.
func (c *sicknoteAnswerCmd) Run(a *app) error {
	files, err := jsonFiles(c.In)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return fmt.Errorf("making the folder of answers: %w", err)
	}
	codes, refused := map[sicknote.Code]int{}, 0
	for _, name := range files {
		out := filepath.Join(c.Out, strings.TrimSuffix(filepath.Base(name), ".json")+".antwort.json")
		answers, err := c.file(a, name)
		if err != nil {
			return err
		}
		for _, one := range answers {
			if one.Answer == nil {
				refused++
				fmt.Fprintf(a.stderr, "%s: %s: %s\n", name, one.Request, one.Error)
				continue
			}
			codes[one.Answer.Code]++
		}
		if err := writeAnswer(out, answers); err != nil {
			return err
		}
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(map[string]any{"files": len(files), "codes": codes, "refused": refused})
	} else {
		_, err = fmt.Fprintf(a.stdout, "%d Dateien: %d mit Nachweis (2), %d noch ohne (4), %d in Prüfung (7), %d nicht lesbar.\n",
			len(files), codes[sicknote.CodeUnfit], codes[sicknote.CodeNotYet], codes[sicknote.CodeInDoubt], refused)
	}
	if refused > 0 {
		return errors.Join(err, &exitError{code: 1})
	}
	return err
}

// maxRequests is how large a file of requests may be.
const maxRequests = 8 << 20

func (c *sicknoteAnswerCmd) file(a *app, name string) ([]room.Asked, error) {
	content, err := a.content(name, maxRequests)
	if err != nil {
		return nil, err
	}
	var requests []sicknote.Request
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		requests = make([]sicknote.Request, 1)
		err = decodeStrict(content, &requests[0])
	} else {
		err = decodeStrict(content, &requests)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	raw, err := c.call(a, c.As, "sicknote.ask", map[string]any{"kasse": c.Kasse, "requests": requests})
	if err != nil {
		return nil, err
	}
	var out []room.Asked
	return out, json.Unmarshal(raw, &out)
}

// jsonFiles are the .json files of a folder, sorted, or the one file.
func jsonFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

// writeAnswer writes JSON to a new file, durable: an answer is not written over.
func writeAnswer(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %q: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	return nil
}

type sicknoteFollowUpCmd struct {
	roomFlags
	asFlag
	Kasse string `arg:"" help:"IK."`
}

// Run makes reports.
func (c *sicknoteFollowUpCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.follow-up", map[string]string{"kasse": c.Kasse}, nil)
}

type sicknoteReportsCmd struct {
	roomFlags
	Kasse    string `arg:"" help:"IK."`
	Employer string `help:"Only those to this employer (Betriebsnummer)."`
	Out      string `help:"Write each to a new file BETRIEBSNUMMER-ID.json in this folder, and take it off." type:"path" placeholder:"DIR"`
	As       string `help:"Person who takes them off (id); with --out." env:"LEITSTAND_AS"`
}

// Run prints or writes reports.
func (c *sicknoteReportsCmd) Run(a *app) error {
	raw, err := c.call(a, "", "sicknote.reports", map[string]string{"kasse": c.Kasse, "betriebsnummer": c.Employer})
	if err != nil {
		return err
	}
	if c.Out == "" && c.JSON {
		return printRaw(a, raw, false)
	}
	if c.Out == "" {
		return table(a, raw, "Nichts wartet auf Arbeitgeber.", "Betriebsnummer Anfrage Kennzeichen Nachweise Storno_von erstellt", func(r sicknote.Report) []string {
			return []string{r.Employer, r.Answer.Reference, fmt.Sprint(int(r.Answer.Code)), fmt.Sprint(len(r.Answer.Proofs)), r.Answer.Cancels, local(r.Answer.At)}
		})
	}
	if c.As == "" {
		return errors.New("--out needs --as: who takes the reports off is put on record")
	}
	var reports []sicknote.Report
	if err := json.Unmarshal(raw, &reports); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return fmt.Errorf("making the folder of reports: %w", err)
	}
	ids := make([]string, len(reports))
	for i, r := range reports {
		ids[i] = r.Answer.ID
		if err := writeAnswer(filepath.Join(c.Out, r.Employer+"-"+r.Answer.ID+".json"), r.Answer); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		if _, err := c.call(a, c.As, "sicknote.fetched", map[string]any{"kasse": c.Kasse, "ids": ids, "reason": "als Dateien ausgegeben"}); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%d Meldungen in %s.\n", len(ids), c.Out)
	return err
}

// withEmployers answers employers beside what serves the room, when the
// configuration names them. One ends with the other.
func withEmployers(ctx context.Context, a *app, r *room.Room, serve func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return r.ServeEmployers(ctx, func(addr string) { fmt.Fprintf(a.stderr, "Arbeitgeber: %s\n", addr) })
	})
	g.Go(func() error {
		defer stop()
		return serve(ctx)
	})
	return g.Wait()
}
