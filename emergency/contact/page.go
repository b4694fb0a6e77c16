package contact

import (
	"context"
	crand "crypto/rand"
	"html/template"
	"net/http"

	"leitstand/emergency/desk"
)

func rand() string { return crand.Text() }

// formView is the form, also when it comes back with what is missing.
type formView struct {
	Message
	Action  string
	Topics  []Topic
	Problem string
	Field   string
}

// formOf is the form that posts to a path.
type formOf string

func (f formOf) ask(status int) desk.Handler {
	return func(context.Context, desk.Call) (desk.Answer, error) {
		b, err := render(formPage, formView{Action: string(f), Message: Message{ID: rand()}, Topics: Topics()}) // the id: sent twice is one message
		return desk.Answer{Status: status, Page: b}, err
	}
}

func (f formOf) again(m Message, fault *desk.Fault) (desk.Answer, error) {
	b, err := render(formPage, formView{Action: string(f), Message: m, Topics: Topics(), Problem: fault.Text, Field: fault.Field})
	return desk.Answer{Status: http.StatusUnprocessableEntity, Page: b}, err
}

const pageHead = `<!doctype html><html lang="de"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notbetrieb: Kontakt</title><style>body{font:1.1rem/1.5 sans-serif;max-width:40rem;margin:1rem auto;padding:0 1rem}label{display:block;margin-top:.8rem}
input:not([type=checkbox]),select,textarea{width:100%;font:inherit;padding:.4rem;box-sizing:border-box}button{font:inherit;padding:.6rem 1rem;margin-top:1rem;min-height:2.8rem}.w{border-left:.4rem solid #a00;padding-left:.6rem}:focus-visible{outline:3px solid #036}</style></head><body><main>`

var formPage = template.Must(template.New("form").Parse(pageHead + `<h1>Ihre Kasse im Notbetrieb</h1>
<p>Schreiben Sie uns oder lassen Sie sich anrufen. Wir fragen nie nach Kennwörtern. <span lang="en">Write to us or ask for a call. We never ask for passwords.</span></p>
{{with .Problem}}<p class="w" role="alert"><strong>{{.}}</strong></p>{{end}}{{$m := .}}
<form method="post" action="{{.Action}}"><input type="hidden" name="nachricht_id" value="{{.ID}}">
<label for="thema">Worum geht es? <span lang="en">Topic</span></label><select id="thema" name="thema" required><option value="">bitte wählen</option>{{range .Topics}}<option value="{{.ID}}"{{if eq .ID $m.Topic}} selected{{end}}>{{.Words}} · {{.English}}</option>{{end}}</select>
<label for="name">Name</label><input id="name" name="name" autocomplete="name" required maxlength="120" value="{{.Name}}">
<label for="geburtsdatum">Geburtsdatum <span lang="en">Date of birth</span></label><input id="geburtsdatum" name="geburtsdatum" type="date" autocomplete="bday" value="{{.Born}}">
<label for="versichertennummer">Versichertennummer <span lang="en">Insurance number</span></label><input id="versichertennummer" name="versichertennummer" maxlength="10" value="{{.Insured}}">
<label for="telefon">Telefon <span lang="en">Phone</span></label><input id="telefon" name="telefon" type="tel" autocomplete="tel" maxlength="30" value="{{.Phone}}">
<label for="email">E-Mail</label><input id="email" name="email" type="email" autocomplete="email" maxlength="254" value="{{.Mail}}">
<label><input type="checkbox" name="rueckruf" value="ja"{{if .Call}} checked{{end}}> Bitte rufen Sie mich an. <span lang="en">Please call me.</span></label>
<label for="zeit">Wann? <span lang="en">When?</span></label><select id="zeit" name="zeit"><option value="">egal</option>{{range $v := .Times}}<option value="{{$v}}"{{if eq $v $m.When}} selected{{end}}>{{$v}}</option>{{end}}</select>
<label for="text">Ihr Anliegen <span lang="en">Your message</span></label><textarea id="text" name="text" rows="6" maxlength="8000" required>{{.Text}}</textarea>
<button>Absenden <span lang="en">Send</span></button></form></main></body></html>`))

// Times are when somebody can be called.
func (formView) Times() []string { return []string{"vormittag", "nachmittag", "abend"} }

var donePage = template.Must(template.New("done").Parse(pageHead + `<h1>Angenommen</h1>
<p>Nummer <strong>{{.Number}}</strong>, PIN <strong>{{.PIN}}</strong>. Bitte aufschreiben; nicht noch einmal senden. <span lang="en">Received. Please note number and PIN; do not send again.</span></p>
<p>{{.State}}{{if .Place}}, Platz {{.Place}} in der Liste{{end}}.</p></main></body></html>`))
