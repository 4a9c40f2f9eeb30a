package requesttest

import "testing"

func TestMemory(t *testing.T) { TestStore(t, NewMemory()) }
