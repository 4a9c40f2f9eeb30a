package delivery

// What tests have to know of the courier's times.
const (
	LeaseFor  = leaseFor
	Rest      = rest
	LeftAfter = leftAfter
	Tolerated = tolerated
	TooLong   = tooLong
	Forgotten = forgotten
)
