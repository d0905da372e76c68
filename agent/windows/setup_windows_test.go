package windows

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const testKey = `Software\linwin-test-setup`

func reg(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command("reg", words...).CombinedOutput(); err != nil {
		t.Fatalf("reg %v: %v: %s", words, err, out)
	}
}

func set(t *testing.T, kind, value string) {
	t.Helper()
	reg(t, "add", `HKCU\`+testKey, "/v", "Busy", "/t", kind, "/d", value, "/f")
}

func TestSetupIsAwaited(t *testing.T) {
	if err := awaitZero(syscall.HKEY_CURRENT_USER, testKey+`-none`, "Busy"); err != nil {
		t.Fatalf("without the key: %v", err)
	}
	set(t, "REG_DWORD", "1")
	t.Cleanup(func() { reg(t, "delete", `HKCU\`+testKey, "/f") })
	if err := awaitZero(syscall.HKEY_CURRENT_USER, testKey, "Other"); err != nil {
		t.Fatalf("without the value: %v", err)
	}
	over := make(chan error, 1)
	go func() { over <- awaitZero(syscall.HKEY_CURRENT_USER, testKey, "Busy") }()
	set(t, "REG_DWORD", "2") // a change that is not the end
	select {
	case err := <-over:
		t.Fatalf("it is over while the number is 2: %v", err)
	case <-time.After(time.Second):
	}
	set(t, "REG_DWORD", "0")
	select {
	case err := <-over:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("its end went unnoticed")
	}
	set(t, "REG_SZ", "text")
	if awaitZero(syscall.HKEY_CURRENT_USER, testKey, "Busy") == nil {
		t.Fatal("a text was taken for a number")
	}
}
