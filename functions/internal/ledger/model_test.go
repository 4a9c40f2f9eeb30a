package ledger

import (
	"sort"

	"sym-postgres-quickstart/functions/internal/event"
)

// pair is a user and a role.
type pair struct{ user, role string }

// modelRun is a run as the model has it.
type modelRun struct {
	pair
	// ended is also true for a run that was ended before it began.
	began, ended, expired bool
	generation            int
}

// model is the expected state: simple enough to be obviously right.
type model struct {
	runs map[string]*modelRun
	// ours and hands are the memberships granted by the broker and by hand. Up to version 15
	// there is at most one of the two.
	ours, hands map[pair]bool
	oneRow      bool
}

func (m *model) run(id string) *modelRun {
	if m.runs[id] == nil {
		m.runs[id] = &modelRun{}
	}
	return m.runs[id]
}

// escalate answers the code of the refusal, or "" and whether something changes.
func (m *model) escalate(id string, p pair) (event.Code, bool) {
	run := m.run(id)
	switch {
	case run.ended || run.expired:
		return event.RunEnded, false
	case run.began && run.pair != p:
		return event.RunMismatch, false
	case run.began:
		return "", false
	}
	run.began, run.pair = true, p
	if !m.oneRow || !m.hands[p] {
		m.ours[p] = true
	}
	return "", true
}

func (m *model) deescalate(id string) (changed bool) {
	run := m.run(id)
	if run.ended {
		return false
	}
	run.ended = true
	if !run.began {
		return true
	}
	for _, other := range m.runs {
		if other.pair == run.pair && other.began && !other.ended && !other.expired {
			return true
		}
	}
	delete(m.ours, run.pair)
	return true
}

func (m *model) sweep() {
	for id, run := range m.runs {
		if run.expired && !run.ended {
			m.deescalate(id)
		}
	}
}

func (m *model) handGrants(p pair) {
	if !m.oneRow || !m.ours[p] {
		m.hands[p] = true
	}
}

func (m *model) handRevokes(p pair) {
	delete(m.hands, p)
	if m.oneRow {
		delete(m.ours, p)
	}
}

// memberships lists the model's, in the form of the fixture's.
func (m *model) memberships() []string {
	found := []string{}
	for p := range m.ours {
		found = append(found, p.user+" "+p.role+" ours")
	}
	for p := range m.hands {
		found = append(found, p.user+" "+p.role+" hand")
	}
	sort.Strings(found)
	return found
}

func (m *model) active() []string {
	found := []string{}
	for id, run := range m.runs {
		if run.began && !run.ended {
			found = append(found, id+" "+run.user+" "+run.role)
		}
	}
	sort.Strings(found)
	return found
}
