package exercise

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"

	"leitstand/pure/eau"
)

// KasseSpec is what the outside world needs to know of a Kasse.
type KasseSpec struct {
	IK      string `json:"ik"`
	Name    string `json:"name"`
	Insured int    `json:"insured"` // people; 0 counts as assumedInsured
}

// assumedInsured stands for a number that nobody reported.
const assumedInsured = 50_000

// Person is an insured person who does not exist.
type Person struct {
	Kasse     string // IK
	KVNR      string
	Name      eau.Name
	BirthDate string // YYYY-MM-DD
	Address   eau.Address
	Employer  int // number of the employer, 0 to employers-1
}

// Population invents the insured, practices and employers of an exercise from a
// seed. Nothing is stored: the same question has the same answer, in every
// process that has the same seed and Kassen. Safe for concurrent use.
type Population struct {
	seed   uint64
	kassen []KasseSpec
	first  []int // number of the first person of each Kasse; the last entry is the total
}

// maxPeople is how many different numbers a KVNR has room for behind its letter.
const maxPeople = 100_000_000

// employers is how many employers there are.
const employers = 250

// NewPopulation refuses an empty or repeated IK and more people than numbers.
func NewPopulation(seed uint64, kassen []KasseSpec) (*Population, error) {
	if len(kassen) == 0 {
		return nil, errors.New("an exercise needs at least one Kasse")
	}
	p := &Population{seed: seed, kassen: kassen, first: make([]int, len(kassen)+1)}
	seen := make(map[string]bool, len(kassen))
	for i, k := range kassen {
		if k.IK == "" || seen[k.IK] {
			return nil, fmt.Errorf("the IK %q of Kasse %q is empty or comes twice", k.IK, k.Name)
		}
		seen[k.IK] = true
		p.first[i+1] = p.first[i] + p.insured(i)
	}
	if p.first[len(kassen)] > maxPeople {
		return nil, fmt.Errorf("%d insured are more than there are numbers for", p.first[len(kassen)])
	}
	return p, nil
}

func (p *Population) insured(kasse int) int {
	if n := p.kassen[kasse].Insured; n > 0 {
		return n
	}
	return assumedInsured
}

// pick draws one of all insured: a Kasse by its size, and a person of it.
func (p *Population) pick(r *rand.Rand) (kasse, person int) {
	n := r.IntN(p.first[len(p.kassen)])
	kasse = sort.SearchInts(p.first, n+1) - 1
	return kasse, n - p.first[kasse]
}

// Person invents a person; number counts from 0 within the Kasse.
func (p *Population) Person(kasse, number int) Person {
	n := p.first[kasse] + number
	r := rand.New(rand.NewPCG(p.seed, uint64(n)|1<<62)) //nolint:gosec // an invented person needs no secret
	return Person{
		Kasse:     p.kassen[kasse].IK,
		KVNR:      kvnr('X', n), // the letter of test cards
		Name:      eau.Name{Given: one(r, givenNames[:]), Family: one(r, familyStems[:]) + one(r, familyEnds[:])},
		BirthDate: fmt.Sprintf("%04d-%02d-%02d", 1958+r.IntN(47), 1+r.IntN(12), 1+r.IntN(28)),
		Address: eau.Address{
			Street: one(r, familyStems[:]) + "weg", House: strconv.Itoa(1 + r.IntN(99)),
			ZIP: fmt.Sprintf("%05d", 10000+r.IntN(80000)), City: "Übungsstadt", Country: "D",
		},
		Employer: r.IntN(employers),
	}
}

func one(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// Names are put together from these, so that nobody takes them for real people.
var (
	givenNames = [...]string{
		"Änne", "Bruno", "Cäcilie", "Dörte", "Emil", "Frieda", "Götz", "Hanna", "Ilse", "Jörg", "Käthe", "Lars",
		"Mila", "Nils", "Oda", "Paul", "Rosa", "Sönke", "Thea", "Ulf", "Vera", "Wim", "Yara", "Zeno",
	}
	familyStems = [...]string{"Übungs", "Muster", "Probe", "Test", "Beispiel", "Schein"}
	familyEnds  = [...]string{"mann", "berg", "hof", "bach", "wald", "feld", "stein", "kamp", "müller", "brück"}
)

// kvnr makes an insurance number: a letter, eight digits, a check digit over the
// number of the letter (two digits) and the digits, weights 1 and 2 in turn,
// digit sums, mod 10.
func kvnr(letter byte, n int) string {
	digits := fmt.Sprintf("%02d%08d", letter-'A'+1, n)
	sum := 0
	for i := range digits {
		d := int(digits[i]-'0') * (1 + i%2)
		sum += d/10 + d%10
	}
	return string(letter) + digits[2:] + strconv.Itoa(sum%10)
}

// practices is how many practices there are.
const practices = 180

// practice invents a practice and its doctor.
func (p *Population) practice(i int) (eau.Organization, eau.Practitioner) {
	r := rand.New(rand.NewPCG(p.seed, uint64(i)|1<<61)) //nolint:gosec // an invented practice needs no secret
	org := eau.Organization{
		Name: fmt.Sprintf("Übungspraxis %03d", i+1), BSNR: fmt.Sprintf("72%07d", 1000+i),
		Phone: fmt.Sprintf("0000 %06d", i+1), Mail: practiceAddress(i),
		Address: eau.Address{Street: "Übungsplatz", House: strconv.Itoa(i + 1), ZIP: "12345", City: "Übungsstadt", Country: "D"},
	}
	doctor := eau.Practitioner{
		Name: eau.Name{Title: "Dr. med.", Given: one(r, givenNames[:]), Family: "Praxis" + one(r, familyEnds[:])},
		Type: "00", Profession: "Hausärztin/Hausarzt", LANR: lanr(100_000 + i),
	}
	return org, doctor
}

func practiceAddress(i int) string { return fmt.Sprintf("praxis-%03d@%s", i+1, PracticeDomain) }

// lanr makes a doctor's number: six digits, check digit with weights 4 and 9
// (difference to the next ten), group of specialists 01.
func lanr(n int) string {
	digits := fmt.Sprintf("%06d", n)
	sum := 0
	for i := range digits {
		weight := 4
		if i%2 == 1 {
			weight = 9
		}
		sum += int(digits[i]-'0') * weight
	}
	return digits + strconv.Itoa((10-sum%10)%10) + "01"
}
