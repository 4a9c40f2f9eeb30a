package test

import "testing"

// stories are told beside each other, each with an engineer of its own.
var stories = map[string]func(*testing.T, *world){
	"approved and expired":                          approvedAndExpired,
	"denied":                                        denied,
	"nobody answers in time":                        nobodyAnswers,
	"revoked early by the requester":                revokedEarly,
	"a role that is not a target":                   notATarget,
	"self-approval is refused":                      selfApproval,
	"approved by someone not on the list":           notOnTheList,
	"Runtime Connector asks for the external id":    runtimeConnector,
	"Lambda Connector trusts the Runtime Connector": lambdaConnector,
	"an outside platform walks the same chain":      outsidePlatform,
	"the sweep alone takes back":                    sweepAlone,
	"the alarm goes off and the workflow goes on":   alarmGoesOff,
	"bad requests change nothing":                   badRequests,
	"bad events change nothing":                     badEvents,
	"a decision on what is decided":                 decidedAlready,
	"a caller without a name":                       nameless,
	"a forged token is nobody's login":              forgedToken,
	"two approvals where two are needed":            twoApprovals,
	"a back-up approver after a time":               backupApprover,
	"at once, or never, by the rules":               byTheRules,
	"broken glass and its review":                   brokenGlass,
	"extended by another approval":                  extended,
	"asked and approved in Slack":                   inSlack,
	"denied in Slack":                               deniedInSlack,
	"revoked in Slack":                              revokedInSlack,
	"asked and waited for in a terminal":            inTerminal,
	"every record is in the audit log once":         audited,
	"who could read what, and when":                 whoCouldRead,
	"who plans asks about rules and nothing else":   planOnlyAsks,
}
