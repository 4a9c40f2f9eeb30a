package database

// ReaderUnavailable is the error where a role was taken back in the database, and sessions
// that use it may go on at one of the database's readers: it cannot be reached, or has yet to
// hear of it. Repeating the call tries the reader again.
type ReaderUnavailable struct{ Message string }

func (e ReaderUnavailable) Error() string { return e.Message }
