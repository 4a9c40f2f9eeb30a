package rules

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
)

// maxCached is more than an account has targets.
const maxCached = 500

// compiled keeps what documents were compiled to, by their content.
var compiled = struct {
	sync.Mutex
	byContent map[[sha256.Size]byte]outcome
}{byContent: map[[sha256.Size]byte]outcome{}}

type outcome struct {
	rules *Rules
	err   error
}

// Compile checks a document and makes it ready to be asked. Its error is a [*CompileError], which
// has everything that is wrong with the document.
//
// A document that was compiled before costs next to nothing, so the configuration can be read
// anew whenever something is decided.
func Compile(d Document) (*Rules, error) {
	content, err := json.Marshal(d)
	if err != nil {
		return nil, &CompileError{[]Problem{{"rules", "The rules cannot be read: " + err.Error()}}}
	}
	key := sha256.Sum256(content)
	compiled.Lock()
	known, ok := compiled.byContent[key]
	compiled.Unlock()
	if ok {
		return known.rules, known.err
	}
	var made outcome
	made.rules, made.err = build(d)
	compiled.Lock()
	defer compiled.Unlock()
	if len(compiled.byContent) >= maxCached {
		clear(compiled.byContent)
	}
	compiled.byContent[key] = made
	return made.rules, made.err
}
