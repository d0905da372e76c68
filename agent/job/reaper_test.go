//go:build linux

package job

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestEveryChildIsReaped starts and ends children side by side; no end may go unseen.
func TestEveryChildIsReaped(t *testing.T) {
	reaper, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	attributes := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}}
	results := make(chan syscall.WaitStatus)
	for range 8 {
		go func() {
			for range 25 {
				// The shell leaves an orphan, which falls to the reaper as well.
				pid, err := reaper.Start("/bin/sh", []string{"sh", "-c", "sleep 0 & exit 7"}, attributes)
				if err != nil {
					t.Error(err)
				}
				results <- reaper.Wait(pid)
			}
		}()
	}
	for range 8 * 25 {
		select {
		case status := <-results:
			if status.ExitStatus() != 7 {
				t.Errorf("a child ended with %v", status)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a child's end was not seen")
		}
	}
	for began := time.Now(); ; {
		children, err := os.ReadFile("/proc/self/task/" + self() + "/children")
		if err != nil {
			t.Skip(err)
		}
		if len(children) == 0 {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("children are left: %s", children)
		}
	}
}

func self() string {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		panic(err)
	}
	return link
}
