package rules

import (
	"context"
	"slices"
	"time"
)

// CouldApprove lists the people who could approve a request by the rules as they are now: all on a
// list, back-up approvers too, whose approval meets the condition. A condition that reads the time
// may hold later, so it leaves nobody out. The requester is listed only where people may approve
// their own requests.
//
// Person returns somebody as the rules see them. Refused is the last match that left somebody out;
// it is empty where none did.
func (r *Rules) CouldApprove(ctx context.Context, in Input, person func(email string) Person) (
	could []string, refused Match,
) {
	d := r.document
	if len(d.Approvers) == 0 && d.AllowSelfApproval {
		could = append(could, in.Requester.Email)
	}
	everybody := slices.Concat(d.Approvers, d.BackupApprovers)
	// As late as possible, when back-up approvers may approve as well.
	in.Now = in.Now.Add(time.Duration(d.ApprovalTimeoutSeconds) * time.Second)
	created := in.Now.Add(-time.Duration(d.BackupAfterSeconds) * time.Second)
	for i, who := range everybody {
		if slices.Contains(everybody[:i], who) || slices.Contains(could, who) ||
			who == in.Requester.Email && !d.AllowSelfApproval {
			continue
		}
		m, may := r.MayApprove(ctx, in, person(who), created)
		if may || r.approveWhen != nil && slices.Contains(r.approveWhen.reads, "now") {
			could = append(could, who)
			continue
		}
		refused = m
	}
	return could, refused
}
