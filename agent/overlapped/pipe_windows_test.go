package overlapped

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestAPipeCarriesBothEnds(t *testing.T) {
	own, child, err := OutputPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	sent := bytes.Repeat([]byte("0123456789"), 50_000) // more than the pipe holds
	go func() {
		child.Write(sent)
		child.Close()
	}()
	got, err := io.ReadAll(own)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestAReadThatWaitsIsGivenUpAndTheNextGoesOn(t *testing.T) {
	own, child, err := OutputPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	defer child.Close()
	failed := make(chan error, 1)
	go func() {
		_, err := own.Read(make([]byte, 1))
		failed <- err
	}()
	own.SetReadDeadline(time.Now())
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read under way: %v", err)
	}
	if _, err := own.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a later read: %v", err)
	}
	own.SetReadDeadline(time.Time{})
	child.Write([]byte("x"))
	got := make([]byte, 2)
	if n, err := own.Read(got); n != 1 || got[0] != 'x' || err != nil {
		t.Errorf("read %q, %v", got[:n], err)
	}
}

func TestAWriteThatWaitsIsGivenUp(t *testing.T) {
	own, child, err := InputPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	defer child.Close()
	failed := make(chan error, 1)
	go func() {
		_, err := own.Write(make([]byte, 10*pipeSize))
		failed <- err
	}()
	// It must have taken something first, so that it is the waiting that ends.
	if _, err := io.ReadFull(child, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	own.SetWriteDeadline(time.Now())
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write under way: %v", err)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	own, child, err := OutputPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	failed := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		_, err := own.Read(make([]byte, 1))
		failed <- err
	}()
	<-began
	if err := own.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := own.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a second close: %v", err)
	}
	if err := own.SetReadDeadline(time.Now()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a deadline afterwards: %v", err)
	}
}

func TestADeadlineToComeIsRefused(t *testing.T) {
	own, child, err := OutputPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	defer child.Close()
	if err := own.SetReadDeadline(time.Now().Add(time.Hour)); !errors.Is(err, os.ErrNoDeadline) {
		t.Error(err)
	}
}
