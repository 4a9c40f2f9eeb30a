package slack

import (
	"context"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// Poster posts what needs a human.
type Poster struct{ desk }

// PostTrouble posts to the error channel: what failed, for whom, and what to do. Without such a
// channel it does nothing. It never reports its own trouble.
func (p *Poster) PostTrouble(ctx context.Context, t request.Trouble) error {
	if p.ErrorChannel == "" {
		return nil
	}
	_, _, err := p.client.post(ctx, p.ErrorChannel, troubleMessage(t))
	return err
}

func troubleMessage(t request.Trouble) message {
	all := []line{{bold("What: "), words("%s", shorten(some(t.What), mostText))}}
	if t.Whom != "" {
		all = append(all, line{bold("For whom: "), words("%s", t.Whom)})
	}
	if t.Do != "" {
		all = append(all, line{bold("What to do: "), words("%s", shorten(t.Do, mostText))})
	}
	m := message{
		text:   notification("This needs a human: %s", t.What),
		blocks: []slackapi.Block{heading("⚠️ This needs a human"), rich(lines(all...))},
	}
	if t.RequestID != "" {
		m.blocks = append(m.blocks, small("Request "+t.RequestID))
	}
	return m
}
