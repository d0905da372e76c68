package process

import (
	"slices"
	"sync"
	"testing"
)

// TestCreditNeverGoesBack has a session attach while the program reads.
func TestCreditNeverGoesBack(t *testing.T) {
	for range 2000 {
		in := newInput()
		if err := in.Data(0, []byte("key")); err != nil {
			t.Fatal(err)
		}
		var granted []uint64
		var both sync.WaitGroup
		both.Go(func() { in.Read(make([]byte, 3)) })
		both.Go(func() { in.Attach(func(acked uint64, _ uint32) { granted = append(granted, acked) }) })
		both.Wait()
		if !slices.IsSorted(granted) {
			t.Fatalf("credit was granted up to %v", granted)
		}
	}
}
